"""All workers of an evaluator as one executor of commands."""

import pickle
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

import gymnasium

from offlow_core.evaluation.environment_slot import Outcome
from offlow_core.evaluation.errors import EvaluationError
from offlow_core.evaluation.workers import (
    STOP_GRACE_S,
    Command,
    Failure,
    LocalWorker,
    ProcessWorker,
    Worker,
    WorkerDied,
)


class SlotsFailed(Exception):
    """Commands for these slots could not be carried out."""

    def __init__(self, slots: Sequence[int], reason: str) -> None:
        super().__init__(reason)
        self.slots = slots


class WorkerPool:
    """Workers over which slots take turns (slot s belongs to worker s modulo their number).

    Turns, not blocks: fewer episodes than slots still keep all workers busy.
    """

    def __init__(self, build: Callable[..., gymnasium.Env], num_workers: int) -> None:
        """0 workers: environments run in this process."""
        if num_workers == 0:
            self._workers: list[Worker] = [LocalWorker(build)]
        else:
            payload = _pickled(build)
            self._workers = [ProcessWorker(i, payload) for i in range(num_workers)]

    def execute(self, commands: Sequence[Command]) -> Iterator[tuple[int, Outcome]]:
        """Carry out at most one command for each slot, all workers at once; outcomes with their slots."""
        shares: list[list[Command]] = [[] for _ in self._workers]
        for command in commands:
            shares[command.slot % len(shares)].append(command)
        busy = [(worker, share) for worker, share in zip(self._workers, shares, strict=True) if share]
        for worker, share in busy:
            with _naming(share):
                worker.send(share)
        for worker, share in busy:
            with _naming(share):
                reply = worker.receive()
            if isinstance(reply, Failure):
                raise SlotsFailed([reply.slot], reply.reason)
            yield from zip([command.slot for command in share], reply, strict=True)

    def close(self) -> None:
        """Stop all workers together; those that do not react in time are killed."""
        for worker in self._workers:
            worker.begin_stop()
        deadline = time.monotonic() + STOP_GRACE_S
        for worker in self._workers:
            worker.finish_stop(deadline)


@contextmanager
def _naming(share: Sequence[Command]) -> Generator[None]:
    try:
        yield
    except WorkerDied as death:
        raise SlotsFailed([command.slot for command in share], str(death)) from None


def _pickled(build: Callable[..., gymnasium.Env]) -> bytes:
    try:
        return pickle.dumps(build)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise EvaluationError(
            f"make_environment cannot be sent to worker processes ({error}). Use a function at the top of a module or "
            "functools.partial of one, or num_workers=0 to run in this process"
        ) from error
