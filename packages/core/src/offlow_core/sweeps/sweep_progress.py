"""How far a sweep is: one bar over the steps of all jobs, and a line whenever a job's state changes."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Self, TextIO

from tqdm import tqdm

from offlow_core.sweeps.job_folder import JobFolder, JobStatus, State

BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
LINE_INTERVAL_S = 60.0  # between two lines in a log file


class SweepProgress:
    """Knows the last status of every job; reads that of the running ones again. In a log file: lines, and no bar.

    How long a job is, is known once it has begun; until then it counts as the mean of those that are known.
    """

    def __init__(
        self,
        folders: Iterable[JobFolder],
        statuses: dict[str, JobStatus],
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folders = {folder.job.name: folder for folder in folders}
        self.statuses = statuses
        self._file = sys.stderr if file is None else file
        self._clock = clock
        self._line_s = clock()
        self._bar = self._make_bar() if self._file.isatty() else None

    def folder(self, name: str) -> JobFolder:
        """A job's folder."""
        return self._folders[name]

    def ended(self, name: str, state: State, reason: str) -> None:
        """A job has got this final state."""
        status = self._folders[name].status()
        self._set(name, replace(status, state=state, reason=reason))

    def refresh(self) -> None:
        """Look after the jobs that have not ended."""
        for name, known in self.statuses.items():
            if known.state in ("finished", "failed"):
                continue
            status = self._folders[name].status()
            # That a job has ended is for the engine to say: a failed run may be about to be tried again.
            if status.state in ("running", known.state):
                self._set(name, status)
        if self._bar is not None:
            self._bar.total = self._total()
            self._bar.set_postfix_str(self._counts(), refresh=False)
            self._bar.update(self._steps() - self._bar.n)
        elif self._clock() - self._line_s >= LINE_INTERVAL_S:
            self._line_s = self._clock()
            self._write(f"{self._steps():,} of {self._total() or 0:,} steps, {self._counts()}")

    def _set(self, name: str, status: JobStatus) -> None:
        before = self.statuses[name].state
        self.statuses[name] = status
        if status.state != before:
            why = f": {status.reason}" if status.state in ("failed", "interrupted") else ""
            self._write(f"{name}: {status.state}{why}{score_text(status)}")

    def _write(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, file=self._file)
        else:
            print(line, file=self._file, flush=True)

    def _make_bar(self) -> tqdm:
        return tqdm(
            desc="sweep",
            unit=" steps",
            unit_scale=True,
            file=self._file,
            bar_format=BAR,
            dynamic_ncols=True,
            initial=self._steps(),
            total=self._total(),
            mininterval=0.5,
            miniters=0,
        )

    def _steps(self) -> int:
        return sum(status.steps for status in self.statuses.values())

    def _total(self) -> int | None:
        known = [status.total for status in self.statuses.values() if status.total]
        return round(sum(known) / len(known) * len(self.statuses)) if known else None

    def _counts(self) -> str:
        states = Counter(status.state for status in self.statuses.values())
        shown = [f"{states[state]} {state}" for state in ("finished", "running", "failed") if states[state]]
        return ", ".join([*shown, f"{len(self.statuses)} in all"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def score_text(status: JobStatus) -> str:
    """The score with its rule, as the end of a line."""
    return "" if status.score is None else f" ({status.score[0]} {status.score[1]:.1f})"
