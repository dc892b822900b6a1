"""Parts of a dataset that are in memory when their turn comes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from offlow_core.data.transitions import Transitions


class ReadAhead:
    """Reads the part that is expected next in a thread of its own; keeps no part that was taken."""

    def __init__(self, load: Callable[[int], Transitions]):
        self._load = load
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._expected: tuple[int, Future[Transitions]] | None = None

    def expect(self, number: int) -> None:
        """Begin to read a part, unless one has been begun that was not taken yet."""
        if self._expected is None:
            self._expected = number, self._thread.submit(self._load, number)

    def take(self, number: int) -> Transitions:
        """A part, at once or as soon as it has been read. An error in reading it is raised here."""
        expected, self._expected = self._expected, None
        if expected is None or expected[0] != number:
            return self._thread.submit(self._load, number).result()
        return expected[1].result()

    def close(self) -> None:
        """Let go of what was read; a part that is being read is finished for nobody."""
        self._expected = None
        self._thread.shutdown(wait=False, cancel_futures=True)
