"""Stopping on request: the first signal asks, the second one insists."""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# Launchers (timeout, uv run, a terminal's process group) may deliver one request twice.
SAME_REQUEST_S = 0.5


class StoppedError(RuntimeError):
    """The run was asked to stop; what its checkpoints hold can be resumed."""


class StopRequest:
    """Context in which SIGTERM (a scheduler's) and SIGINT (Ctrl-C) set a flag that the training loop polls.

    The loop can so end its block, save a checkpoint and leave. A second signal raises KeyboardInterrupt at once; one
    that follows within half a second counts as the first.
    Python delivers signals to the main thread alone: in another one the flag is set by `request` only.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._signalled_s = 0.0
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether the loop should save and leave."""
        return self.reason is not None

    def request(self, reason: str) -> None:
        """Ask for a stop as the first signal would."""
        self.reason = reason

    def __enter__(self) -> Self:
        _in_force.append(self)
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        _in_force.remove(self)
        for number, handler in self._previous.items():
            # None stands for a handler that was not installed from Python and cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous = {}

    def _handle(self, number: int, _: FrameType | None) -> None:
        name, now_s = signal.Signals(number).name, time.monotonic()
        if self.requested and now_s - self._signalled_s < SAME_REQUEST_S:
            return
        if self.requested:
            raise KeyboardInterrupt(f"{name} after {self.reason}")
        self._signalled_s = now_s
        self.request(name)
        # Unbuffered, because the signal may have interrupted a print half-way.
        os.write(2, f"\n{name}: saving and stopping after this block; a second signal stops at once\n".encode())


_in_force: list[StopRequest] = []


def leave_if_stopped() -> None:
    """Raise StoppedError if a stop was asked for: for long work that a resumed run repeats anyhow."""
    for request in _in_force:
        if request.requested:
            raise StoppedError(f"stopped by {request.reason}")
