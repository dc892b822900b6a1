"""What the run directories of a job tell: how far each seed is, how it ended, what of them cannot be used."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offlow_core.sweeps.job import Job
from offlow_core.training.run_directory import RunDirectory, RunDirectoryError

_TAIL_BYTES = 1 << 16
_LENGTHS = ("offline_steps", "online_steps", "total_timesteps")
"""Options that add up to the length of a run whose manifest does not tell it."""


@dataclass(frozen=True)
class SeedRun:
    """One run directory as it stands."""

    path: Path
    seed: int
    state: str
    started: str
    error: str | None
    session: str | None
    """Shared by seeds that are trained in one program."""
    steps: int
    """Of the last row of its tables."""
    total: int | None
    scores: dict[str, float]


@dataclass(frozen=True)
class JobRuns:
    """The run directories of one job."""

    by_seed: dict[int, SeedRun]
    """The one that counts: finished before unfinished, newer before older."""
    damaged: dict[Path, str]
    """Reason by directory."""

    def finished(self, job: Job) -> bool:
        """Whether every seed has a finished run."""
        return all(seed in self.by_seed and self.by_seed[seed].state == "finished" for seed in job.seeds)

    def resumable(self, job: Job) -> Path | None:
        """The run that `--resume` goes on with: seeds of one program only all together, or none."""
        runs = [self.by_seed[seed] for seed in job.seeds if seed in self.by_seed]
        if len(runs) < len(job.seeds) or len({run.session for run in runs}) > 1:
            return None
        return next((run.path for run in runs if run.state != "finished"), None)


def read_runs(root: Path) -> JobRuns:
    """The runs below a `--save_dir`."""
    runs, damaged = [], {}
    for status in sorted(root.glob("*/*/*/status.json")):
        try:
            runs.append(_read_run(status.parent))
        except (RunDirectoryError, KeyError, TypeError, AttributeError) as error:
            reason = str(error) if isinstance(error, RunDirectoryError) else f"damaged: {error!r}"
            damaged[status.parent] = reason
    runs.sort(key=lambda run: (run.state == "finished", run.started, run.path))
    return JobRuns({run.seed: run for run in runs}, damaged)


def _read_run(path: Path) -> SeedRun:
    run = RunDirectory.open(path)
    status, config, manifest = run.status, run.config, run.manifest
    error = status["error"]
    return SeedRun(
        path=path,
        seed=config["seed"],
        state=status["state"],
        started=status["started"],
        error=None if error is None else f"{error['type']}: {error['message']}",
        session=manifest.get("session"),
        steps=max(0, *(last_step(path / f"{kind}.csv") for kind in ("train", "eval"))),
        total=_total_steps(manifest, config),
        scores=status.get("scores", {}),
    )


def _total_steps(manifest: dict[str, Any], config: dict[str, Any]) -> int | None:
    total = manifest.get("total_steps", sum(config.get(name, 0) for name in _LENGTHS))
    return total if isinstance(total, int) and total > 0 else None


def last_step(table: Path) -> int:
    """The step of a table's last complete row, 0 without one; reads no more than the end of the file."""
    try:
        with table.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return 0
    cell = lines[-1].partition(b",")[0] if lines else b""
    return int(cell) if cell.isdigit() else 0


def mean_score(runs: Iterable[SeedRun]) -> tuple[str, float] | None:
    """Name of the first scoring rule and its mean over runs; None where there is no score."""
    scores = [run.scores for run in runs if run.scores]
    if not scores:
        return None
    rule = next(iter(scores[0]))
    values = [one[rule] for one in scores if rule in one]
    return rule, sum(values) / len(values)
