"""The folder of a job, which holds all that is known of it: what it is, its log, its runs. Nothing of an engine."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from offlow_core.claim import is_claimed
from offlow_core.files import write_json
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job import Job, difference
from offlow_core.sweeps.job_log import AttemptEnd, JobLog, exit_words
from offlow_core.sweeps.job_runs import JobRuns, mean_score, read_runs

State = Literal["not started", "running", "interrupted", "failed", "finished"]

JOB = "job.json"
NOT_STARTED: State = "not started"


@dataclass(frozen=True)
class JobStatus:
    """How far a job is; `steps` and `total` are summed over its seeds, `total` is None while unknown."""

    state: State
    reason: str
    steps: int = 0
    total: int | None = None
    score: tuple[str, float] | None = None
    runs: tuple[Path, ...] = ()
    damaged: tuple[str, ...] = ()
    """Runs that do not count: their directories, each with the reason."""


@dataclass(frozen=True)
class JobFolder:
    """`OUT/jobs/<name>/`: job.json, log.txt, runs/, and set_aside/ for runs that could not be gone on with."""

    path: Path
    job: Job

    @classmethod
    def open(cls, path: Path) -> Self:
        """An existing job's folder; SweepError if its job.json is missing or damaged."""
        try:
            return cls(path, Job.from_json(json.loads((path / JOB).read_bytes())))
        except (OSError, ValueError, RecursionError, SweepError) as error:
            raise SweepError(f"{path / JOB} is no job: {error}; delete it, and it is made anew") from error

    @classmethod
    def in_sweep(cls, out: Path, job: Job) -> Self:
        """The job's folder in a sweep's; SweepError if that has another job of the name."""
        folder = cls(out / "jobs" / job.name, job)
        if (folder.path / JOB).exists():
            there = cls.open(folder.path).job
            if there != job:
                raise SweepError(
                    f"{folder.path} holds another job: {difference(there, job)}; choose another --out, or the options "
                    "with which it was made"
                )
        return folder

    @property
    def runs_path(self) -> Path:
        """The job's `--save_dir`."""
        return self.path / "runs"

    @property
    def log_path(self) -> Path:
        """What all attempts printed."""
        return self.path / "log.txt"

    @property
    def log(self) -> JobLog:
        """The same, to be read and continued."""
        return JobLog(self.log_path)

    @property
    def set_aside_path(self) -> Path:
        """Where an attempt puts runs that cannot be gone on with."""
        return self.path / "set_aside"

    @property
    def lock_path(self) -> Path:
        """Locked while an attempt lives, or the program that it started."""
        return self.path / "lock"

    def write(self) -> None:
        """Make the folder; SweepError on a full disk, for example."""
        if (self.path / JOB).exists():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / JOB, self.job.to_json())
        except OSError as error:
            raise SweepError(f"{self.path} cannot be written: {error}; nothing was started") from error

    def status(self) -> JobStatus:
        """How far the job is, by what lies in its folder."""
        runs = read_runs(self.runs_path)
        own = [runs.by_seed[seed] for seed in self.job.seeds if seed in runs.by_seed]
        try:
            state, reason = self._state(runs)
        except OSError as error:
            state, reason = "failed", f"its lock or its log cannot be read: {error}"
        totals = [run.total for run in own if run.total is not None]
        known = len(totals) == len(self.job.seeds)
        done = {run.path: run.total or run.steps if run.state == "finished" else run.steps for run in own}
        damaged = tuple(f"{path}: {text}" for path, text in runs.damaged.items())
        return JobStatus(
            state=state,
            reason=f"{reason} ({'; '.join(damaged)})" if damaged else reason,
            steps=sum(done.values()),
            total=sum(totals) if known else None,
            score=mean_score(own),
            runs=tuple(done),
            damaged=damaged,
        )

    def _state(self, runs: JobRuns) -> tuple[State, str]:
        if runs.finished(self.job):
            return "finished", "skipped"
        if is_claimed(self.lock_path) or any(run.is_in_use for run in runs.by_seed.values()):
            return "running", "is running"
        unfinished = [run for run in runs.by_seed.values() if run.state != "finished"]
        errors = [run.error for run in unfinished if run.state == "failed" and run.error]
        end = self.log.last_end()
        if errors or (end is not None and end.how == "failed"):
            return "failed", self._failure(errors, end)
        missing = [str(seed) for seed in self.job.seeds if seed not in runs.by_seed]
        if missing and (runs.damaged or len(missing) < len(self.job.seeds)):
            return "interrupted", f"the run of seed {', '.join(missing)} is missing"
        if unfinished:
            return "interrupted", "stopped" if unfinished[0].state == "interrupted" else "killed"
        if self.log_path.exists():
            return "interrupted", "ended before it began"
        return NOT_STARTED, "starts"

    def _failure(self, errors: Sequence[str], end: AttemptEnd | None) -> str:
        """Why it failed, by what its runs recorded and by how the last attempt ended."""
        if end is not None and end.how == "failed" and end.code < 0:
            return exit_words(end.code)  # which nothing that it had recorded before explains
        if errors or end is None:
            return _last_line(errors[0])
        if end.code == 0:
            return "its program has ended well, but left no run that can be used"
        return f"{exit_words(end.code)}: {self.log.last_words()}"


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), text)
