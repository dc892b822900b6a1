"""What the run directories of a job tell: how far each seed is, how it ended, what of them cannot be used."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from offlow_core.errors import UserError
from offlow_core.sweeps.job import Job
from offlow_core.training.run_directory import RunDirectory, RunDirectoryError, State
from offlow_core.training.run_record import read_run
from offlow_core.training.run_scores import LAST

T = TypeVar("T")

_TAIL_BYTES = 1 << 16
_LENGTHS = ("offline_steps", "online_steps", "total_timesteps")
"""Options that add up to the length of a run whose manifest does not tell it."""
_LONGEST_REASON = 400


@dataclass(frozen=True)
class SeedRun:
    """One run directory as it stands."""

    path: Path
    seed: int
    state: State
    started: str
    error: str | None
    session: str | None
    """Shared by seeds that are trained in one program."""
    steps: int
    """Of the last row of its tables."""
    total: int | None
    scores: dict[str, float]
    is_in_use: bool
    """Whether a live process writes it."""
    checkpoint: int | None
    """Step of the last one; None without one, or where the run has finished."""


@dataclass(frozen=True)
class JobRuns:
    """The run directories of one job."""

    by_seed: dict[int, SeedRun]
    """The one that counts: finished before unfinished, newer before older."""
    damaged: dict[Path, str]
    """Reason by directory, on one line."""

    def finished(self, job: Job) -> bool:
        """Whether every seed has a finished run."""
        return all(seed in self.by_seed and self.by_seed[seed].state == "finished" for seed in job.seeds)

    def resumable(self, job: Job) -> SeedRun | None:
        """The run that `--resume` goes on with: seeds of one program only all together, or none."""
        runs = [self.by_seed[seed] for seed in job.seeds if seed in self.by_seed]
        if len(runs) < len(job.seeds) or len({run.session for run in runs}) > 1:
            return None
        return next((run for run in runs if run.state != "finished"), None)


def read_runs(root: Path) -> JobRuns:
    """The runs below a `--save_dir`. Whatever is wrong with one of them, it is damaged, and the others count."""
    runs, damaged = [], {}
    for status in sorted(root.glob("*/*/*/status.json")):
        path = status.parent
        try:
            runs.append(_read_run(path))
        except (UserError, OSError) as error:
            damaged[path] = reason_of(path, str(error))
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
            damaged[path] = reason_of(path, f"damaged: {error!r}")
    runs.sort(key=lambda run: (run.state == "finished", run.started, run.path))
    return JobRuns({run.seed: run for run in runs}, damaged)


def reason_of(path: Path, error: str) -> str:
    """What an error says of the run in `path`, on one line: a dry run, which is a shell script, has it in a comment."""
    return " ".join(error.removeprefix(str(path)).lstrip(":/ ").split())[:_LONGEST_REASON]


def _read_run(path: Path) -> SeedRun:
    run = RunDirectory.open(path)
    status, config, manifest = run.status, run.config, run.manifest
    error, scores = status["error"], _scores(status.get("scores", {}))
    finished = status["state"] == "finished"
    # What a comparison leaves out has to be trained again. Without evaluations a run is of no use to it, but complete.
    if finished and (LAST in scores or len(run.read("eval")["step"]) > 0):
        read_run(path)
    return SeedRun(
        path=path,
        seed=_expect(int, "seed", config["seed"]),
        state=_state(status["state"]),
        started=_expect(str, "started", status["started"]),
        error=None if error is None else f"{error['type']}: {error['message']}",
        session=_expect((str, type(None)), "session", manifest.get("session")),
        steps=max(0, *(last_step(path / f"{kind}.csv") for kind in ("train", "eval"))),
        total=_total_steps(manifest, config),
        scores=scores,
        is_in_use=not finished and run.is_in_use(),
        checkpoint=None if finished else max(run.checkpoints.steps(), default=None),
    )


def _expect(kind: type[T] | tuple[type[T], ...], name: str, value: Any) -> T:
    if not isinstance(value, kind):
        raise RunDirectoryError(f"damaged: {name} is {value!r}")
    return value


def _state(value: Any) -> State:
    if value not in get_args(State):
        raise RunDirectoryError(f"damaged: expected a state ({', '.join(get_args(State))}), got {value!r}")
    return value


def _scores(found: Any) -> dict[str, float]:
    scores = _expect(dict, "scores", found)
    for rule, score in scores.items():
        if not math.isfinite(_expect((int, float), f"the score by the rule {rule!r}", score)):
            raise RunDirectoryError(f"damaged: the score by the rule {rule!r} is {score}")
    return scores


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
