"""The folder of a job, which holds all that is known of it: what it is, its log, its runs. Nothing of an engine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from offlow_core.claim import is_claimed
from offlow_core.files import write_json
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job import Job, difference
from offlow_core.sweeps.job_runs import JobRuns, mean_score, read_runs
from offlow_core.training.run_directory import RunDirectory

State = Literal["not started", "running", "interrupted", "failed", "finished"]

JOB = "job.json"
NOT_STARTED: State = "not started"
MARK, ENDED = "=== offlow: ", "; it "
"""What the lines in a log begin with that an attempt adds, and what follows in its last line: `; it failed`."""
_LOG_TAIL_BYTES = 1 << 14


@dataclass(frozen=True)
class JobStatus:
    """How far a job is; `steps` and `total` are summed over its seeds, `total` is None while unknown."""

    state: State
    reason: str
    steps: int = 0
    total: int | None = None
    score: tuple[str, float] | None = None
    runs: tuple[Path, ...] = ()


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
        except (OSError, ValueError, SweepError) as error:
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
        state, reason = self._state(runs)
        totals = [run.total for run in own if run.total is not None]
        known = len(totals) == len(self.job.seeds)
        done = {run.path: run.total or run.steps if run.state == "finished" else run.steps for run in own}
        damaged = "; ".join(f"{path}: {text}" for path, text in runs.damaged.items())
        return JobStatus(
            state=state,
            reason=f"{reason} ({damaged})" if damaged else reason,
            steps=sum(done.values()),
            total=sum(totals) if known else None,
            score=mean_score(own),
            runs=tuple(done),
        )

    def _state(self, runs: JobRuns) -> tuple[State, str]:
        if runs.finished(self.job):
            return "finished", "skipped"
        if is_claimed(self.lock_path) or any(RunDirectory(run.path).is_in_use() for run in runs.by_seed.values()):
            return "running", "is running"
        unfinished = [run for run in runs.by_seed.values() if run.state != "finished"]
        errors = [run.error for run in unfinished if run.state == "failed" and run.error]
        if errors or self._last_end() == "failed":
            return "failed", _last_line(errors[0]) if errors else self.last_words()
        missing = [str(seed) for seed in self.job.seeds if seed not in runs.by_seed]
        if missing and len(missing) < len(self.job.seeds):
            return "interrupted", f"the run of seed {', '.join(missing)} is missing"
        if unfinished:
            return "interrupted", "stopped" if unfinished[0].state == "interrupted" else "killed"
        if self.log_path.exists():
            return "interrupted", "ended before it began"
        return NOT_STARTED, "starts"

    def _last_end(self) -> str:
        """How the last attempt ended, by the log; empty if there was none, or none that came to say so."""
        marks = [line for line in self.log_tail().splitlines() if line.startswith(MARK)]
        return marks[-1].rpartition(ENDED)[2] if marks and ENDED in marks[-1] else ""

    def log_tail(self) -> str:
        """The end of the log; empty without one."""
        try:
            with self.log_path.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def last_words(self) -> str:
        """The last line that the job's program printed."""
        lines = [line.strip() for line in self.log_tail().splitlines() if not line.startswith((MARK, "$ "))]
        return next((line for line in reversed(lines) if line), "it printed nothing")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), text)
