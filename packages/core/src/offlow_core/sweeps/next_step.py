"""What an attempt has to do next: start the program, go on with a run, or nothing any more."""

import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.sweeps.job_runs import JobRuns, read_runs
from offlow_core.sweeps.resources import evaluation_words
from offlow_core.training.checkpoints import CheckpointError, DamagedCheckpointWarning
from offlow_core.training.run_directory import TABLES, RunDirectory, RunDirectoryError
from offlow_core.training.tables import TableError


@dataclass(frozen=True)
class Step:
    """Starting a program, from `resume` on if that is a run directory."""

    resume: Path | None
    reason: str

    def words(self, folder: JobFolder, program: str, threads: int) -> list[str]:
        """The command line; a run that goes on has all its other options with it."""
        job = folder.job
        told = evaluation_words(job.arguments, threads)
        if self.resume is not None:
            return [program, f"--resume={self.resume}", *told]
        return [program, *job.words, f"--save_dir={folder.runs_path}", *told]


def plan(folder: JobFolder) -> Step | None:
    """What there is to do; None for a finished job. Looks only."""
    return _step(read_runs(folder.runs_path), folder)


def next_step(folder: JobFolder) -> Step | None:
    """As `plan`, for whoever holds the job's lock: what cannot be gone on with is put aside, never deleted."""
    runs = read_runs(folder.runs_path)
    if runs.finished(folder.job):
        return None
    _put_aside(folder, runs.damaged)
    if runs.resumable(folder.job) is None or not _all_readable(runs):
        # Seeds of one program need each other to go on, so a finished one that has lost the others starts again, too.
        together = len(folder.job.seeds) > 1
        _put_aside(folder, [run.path for run in runs.by_seed.values() if together or run.state != "finished"])
    step = plan(folder)
    if step is None or not runs.damaged:
        return step
    told = "; ".join(f"{path.name}: {reason}" for path, reason in runs.damaged.items())
    return Step(step.resume, f"{step.reason} (in {folder.set_aside_path} now: {told})")


def _step(runs: JobRuns, folder: JobFolder) -> Step | None:
    if runs.finished(folder.job):
        return None
    run = runs.resumable(folder.job)
    if run is None:
        return Step(None, "starts")
    if run.checkpoint is None:
        return Step(run.path, "goes on from its beginning")
    reached = max(run.steps for run in runs.by_seed.values())
    return Step(run.path, f"goes on from its last checkpoint, its tables reach step {reached:,}")


def progress_of(folder: JobFolder) -> tuple[int, int]:
    """Grows with every checkpoint: finished seeds, and updates that checkpoints of the others hold."""
    runs = read_runs(folder.runs_path).by_seed.values()
    updates = sum(run.checkpoint + 1 for run in runs if run.checkpoint is not None)
    return sum(run.state == "finished" for run in runs), updates


def _all_readable(runs: JobRuns) -> bool:
    """Whether all tables can be continued, and no run has lost all its checkpoints.

    One that never had any can go on from its beginning.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=DamagedCheckpointWarning):
            for found in runs.by_seed.values():
                run = RunDirectory.open(found.path)
                run.checkpoints.latest()
                for kind in TABLES:
                    run.read(kind)
    except (CheckpointError, TableError, RunDirectoryError):
        return False
    return True


def _put_aside(folder: JobFolder, runs: Iterable[Path]) -> None:
    for path in runs:
        target = folder.set_aside_path / path.name
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{path.name}-{number}")
        target.parent.mkdir(exist_ok=True)
        shutil.move(path, target)
