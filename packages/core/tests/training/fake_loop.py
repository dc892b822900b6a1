"""Loops on the fake learner, and what their runs hold."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from fake_learner import FakeEvaluator, FakeLearner

from offlow_core.training.loggers import make_logger
from offlow_core.training.loop import LoopSettings, Member, TrainingLoop
from offlow_core.training.run_directory import RunDirectory

SETTINGS = {"log_interval": 3, "eval_interval": 4, "eval_episodes": 2}


def make_runs(root: Path, seeds: Sequence[int] = (0,)) -> list[RunDirectory]:
    return [RunDirectory.create(root, "task", "toy", seed, {}, {}, keep_checkpoints=9) for seed in seeds]


def make_loop(
    runs: Sequence[RunDirectory],
    learner: FakeLearner,
    *,
    ends_early: Callable[[Mapping[str, np.ndarray]], bool] = lambda evaluations: False,
    **settings: float,
) -> TrainingLoop:
    members = [Member(run, make_logger(run)) for run in runs]
    settings = LoopSettings(**SETTINGS | settings)
    return TrainingLoop(learner, members, FakeEvaluator(), lambda means: 100 * means["success"], settings, ends_early)


def steps_of(run: RunDirectory, kind: str) -> list[int]:
    return run.read(kind)["step"].tolist()


def files_of(run: RunDirectory) -> dict[str, bytes]:
    """Everything that must not depend on the clock, with the arrays of the last checkpoint."""
    tables = {name: (run.path / f"{name}.csv").read_bytes() for name in ("train", "eval", "episodes")}
    return tables | {name: array.tobytes() for name, array in run.checkpoints.latest().arrays.items()}
