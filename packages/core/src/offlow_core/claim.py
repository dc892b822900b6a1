"""A lock of the operating system on a file: whoever holds it is alive."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.05


def claim(path: Path, patience_s: float, give_up: Callable[[], bool] = lambda: False) -> int | None:
    """Lock the file, made if need be, and return its descriptor; None if another process keeps it for that long.

    The lock is held until the descriptor is closed, here and in every process that has inherited it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + max(patience_s, 4 * POLL_S)  # which outlasts somebody who calls `is_claimed`
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline or give_up():
                os.close(descriptor)
                return None
            time.sleep(POLL_S)
        else:
            return descriptor


def is_claimed(path: Path) -> bool:
    """Whether a live process holds the lock."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
