"""The log of a job: what its program printed, with a line before and after each attempt, which say how it went."""

import os
import re
import shlex
import signal
import socket
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from offlow_core.sweeps.resources import as_assignments

MARK = "=== offlow: "
"""What the lines begin with that an attempt adds."""
_END = re.compile(re.escape(MARK) + r"attempt \d+ ended .*with status (?P<code>-?\d+); it (?P<how>.+)")
_TAIL_BYTES = 1 << 14


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended."""

    how: str
    """`finished`, `failed` or `was interrupted`."""
    code: int
    """The program's, as subprocess has it: below 0 for a signal."""


@dataclass(frozen=True)
class AttemptLog:
    """The part of one attempt, being written."""

    file: int
    """Descriptor for the program's own output."""
    number: int

    def end(self, end: AttemptEnd, seconds: float) -> None:
        """Say how the attempt ended, and after how long."""
        told = f"attempt {self.number} ended after {seconds:.0f} s with status {end.code}; it {end.how}"
        _write_mark(self.file, told)


class JobLog:
    """One file, which every attempt continues."""

    def __init__(self, path: Path):
        self._path = path

    @contextmanager
    def attempt(self, reason: str, words: Sequence[str], environment: Mapping[str, str]) -> Generator[AttemptLog]:
        """A new part; OSError on a full disk."""
        with self._path.open("ab+", buffering=0) as file:
            log = AttemptLog(file.fileno(), 1 + self._attempts())
            place = f"on {socket.gethostname()} (process {os.getpid()}), {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
            _write_mark(log.file, f"attempt {log.number} {place}: {reason}")
            file.write(f"$ {shlex.join([*as_assignments(environment), *words])}\n".encode())
            yield log

    def last_end(self) -> AttemptEnd | None:
        """How the last attempt ended; None if there was none, or none that came to say so."""
        marks = [line for line in self._tail() if line.startswith(MARK)]
        found = _END.fullmatch(marks[-1]) if marks else None
        return AttemptEnd(found["how"], int(found["code"])) if found else None

    def last_words(self) -> str:
        """The last line that the job's program printed."""
        lines = [line.strip() for line in self._tail() if not line.startswith((MARK, "$ "))]
        return next((line for line in reversed(lines) if line), "it printed nothing")

    def _tail(self) -> list[str]:
        """The last lines; none without a file."""
        try:
            with self._path.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                return file.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def _attempts(self) -> int:
        """How many the file holds."""
        numbers = [line.split()[3] for line in self._path.read_bytes().splitlines() if _begins(line)]
        return int(numbers[-1]) if numbers else 0


def exit_words(code: int) -> str:
    """How a process ended that has this exit status, which is below 0 for a signal."""
    if code >= 0:
        return f"exit status {code}"
    names = {known.value: f" ({known.name})" for known in signal.Signals}
    hint = "; if memory was short, run fewer jobs at a time" if code == -signal.SIGKILL else ""
    return f"killed by signal {-code}{names.get(-code, '')}{hint}"


def _write_mark(file: int, text: str) -> None:
    """Write a line of ours; a program that was killed may have left a line without its end."""
    size = os.fstat(file).st_size
    before = "\n" if size > 0 and os.pread(file, 1, size - 1) != b"\n" else ""
    os.write(file, f"{before}{MARK}{text}\n".encode())


def _begins(line: bytes) -> bool:
    return line.startswith(f"{MARK}attempt ".encode())
