"""The log of a job: what its program printed, with a line before and after each attempt."""

import os
import shlex
import socket
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from offlow_core.sweeps.job_folder import ENDED, MARK
from offlow_core.sweeps.resources import as_assignments


@dataclass(frozen=True)
class AttemptLog:
    """The part of one attempt, being written."""

    file: int
    """Descriptor for the program's own output."""
    number: int

    def end(self, how: str, details: str) -> None:
        """Say how the attempt ended: `finished`, `failed` or `was interrupted`."""
        self._write(f"attempt {self.number} ended {details}{ENDED}{how}")

    def _write(self, line: str) -> None:
        os.write(self.file, f"{MARK}{line}\n".encode())


class JobLog:
    """Appends to one file, which every attempt continues."""

    def __init__(self, path: Path):
        self._path = path

    @contextmanager
    def attempt(self, reason: str, words: Sequence[str], environment: Mapping[str, str]) -> Generator[AttemptLog]:
        """A new part; OSError on a full disk."""
        with self._path.open("ab+", buffering=0) as file:
            log = AttemptLog(file.fileno(), 1 + self._attempts())
            place = f"on {socket.gethostname()} (process {os.getpid()}), {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
            file.write(f"{MARK}attempt {log.number} {place}: {reason}\n".encode())
            file.write(f"$ {shlex.join([*as_assignments(environment), *words])}\n".encode())
            yield log

    def _attempts(self) -> int:
        """How many the file holds."""
        numbers = [line.split()[3] for line in self._path.read_bytes().splitlines() if _begins(line)]
        return int(numbers[-1]) if numbers else 0


def _begins(line: bytes) -> bool:
    return line.startswith(f"{MARK}attempt ".encode())
