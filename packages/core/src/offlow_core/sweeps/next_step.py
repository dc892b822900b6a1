"""What an attempt has to do next: start the program, go on with a run, or nothing any more."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.sweeps.job_runs import JobRuns, read_runs
from offlow_core.sweeps.resources import evaluation_words
from offlow_core.sweeps.run_repair import clock_damage, clock_file, hurdle, mend_clock


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
    """What there is to do; None for a finished job. Looks only, and not into checkpoints, which may be large."""
    runs = read_runs(folder.runs_path)
    if runs.finished(folder.job):
        return None
    run = runs.resumable(folder.job)
    hurdles = {} if run is None else _hurdles(runs, checkpoints=False)
    if hurdles:
        return Step(None, f"starts anew, since there is no going on with {_told(hurdles)}")
    if run is None:
        return Step(None, "starts")
    if run.checkpoint is None:
        return Step(run.path, "goes on from its beginning")
    reached = max(run.steps for run in runs.by_seed.values())
    return Step(run.path, f"goes on from its last checkpoint, its tables reach step {reached:,}")


def next_step(folder: JobFolder) -> Step | None:
    """As `plan`, for whoever holds the job's lock: what cannot be gone on with is put aside, never deleted."""
    runs = read_runs(folder.runs_path)
    if runs.finished(folder.job):
        return None
    given_up = _in_the_way(runs, folder)
    for path in given_up:
        shutil.move(path, _place_aside(folder, path.name))
    kept = [run.path for run in runs.by_seed.values() if run.path not in given_up]
    reasons = given_up | _mend_clocks(kept, folder)
    step = plan(folder)
    if step is None or not reasons:
        return step
    return Step(step.resume, f"{step.reason} (in {folder.set_aside_path} now: {_told(reasons)})")


def progress_of(folder: JobFolder) -> tuple[int, int]:
    """Grows with every checkpoint: finished seeds, and updates that checkpoints of the others hold."""
    runs = read_runs(folder.runs_path).by_seed.values()
    updates = sum(run.checkpoint + 1 for run in runs if run.checkpoint is not None)
    return sum(run.state == "finished" for run in runs), updates


def _hurdles(runs: JobRuns, *, checkpoints: bool) -> dict[Path, str]:
    """Reason by run that cannot be gone on with."""
    found = {run.path: hurdle(run.path, checkpoints=checkpoints) for run in runs.by_seed.values()}
    return {path: reason for path, reason in found.items() if reason is not None}


def _in_the_way(runs: JobRuns, folder: JobFolder) -> dict[Path, str]:
    """Reason by run that is to be put aside."""
    resumable = runs.resumable(folder.job)
    hurdles = {} if resumable is None else _hurdles(runs, checkpoints=True)
    if resumable is not None and not hurdles:
        return runs.damaged
    # Seeds of one program need each other to go on, so a finished one that has lost the others starts again, too.
    together = len(folder.job.seeds) > 1
    given_up = [run.path for run in runs.by_seed.values() if together or run.state != "finished"]
    return runs.damaged | dict.fromkeys(given_up, "the seeds of its program can only go on together") | hurdles


def _mend_clocks(runs: Iterable[Path], folder: JobFolder) -> dict[Path, str]:
    """Reason by copy of a table of wall-clock numbers that is kept as it was."""
    reasons = {}
    for path in runs:
        damage = clock_damage(path)
        if damage is not None:
            copy = _place_aside(folder, f"{path.name}-{clock_file(path).name}")
            shutil.copy2(clock_file(path), copy)
            mend_clock(path)
            reasons[copy] = f"{damage}; the rows that can be read stay in use"
    return reasons


def _place_aside(folder: JobFolder, name: str) -> Path:
    """Where nothing lies yet."""
    folder.set_aside_path.mkdir(exist_ok=True)
    target, number = folder.set_aside_path / name, 1
    while target.exists():
        number += 1
        target = target.with_name(f"{name}-{number}")
    return target


def _told(reasons: Mapping[Path, str]) -> str:
    return "; ".join(f"{path.name}: {reason}" for path, reason in reasons.items())
