"""Learning curves of methods, over steps and over time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offlow_core.comparison.aggregates import Bootstrap
from offlow_core.comparison.statistics import mean_interval
from offlow_core.training.run_record import RunRecord


@dataclass(frozen=True, eq=False)
class MethodCurve:
    """One method on one task at the steps at which all its runs were evaluated; all [n]."""

    method: str
    task: str
    seeds: int
    steps: np.ndarray
    seconds: np.ndarray
    """Mean over seeds of the seconds of training so far; NaN where a run does not tell."""
    mean: np.ndarray
    low: np.ndarray
    """95% interval of the mean over seeds, by bootstrap."""
    high: np.ndarray


def time_unit(curves: Sequence[MethodCurve]) -> tuple[float, str]:
    """The unit in which the seconds of curves are read easily: its length in seconds, and its name."""
    longest = max((curve.seconds[-1] for curve in curves), default=0.0)
    units = ((3600.0, "hours"), (60.0, "minutes"))
    return next((unit for unit in units if longest >= 2 * unit[0]), (1.0, "seconds"))


def curve(method: str, runs: Sequence[RunRecord], bootstrap: Bootstrap) -> MethodCurve | None:
    """The curve of a method's runs on one task; None where they share no step."""
    common = sorted(set.intersection(*(set(run.steps.tolist()) for run in runs)))
    if not common:
        return None
    rows = [np.searchsorted(run.steps, common) for run in runs]
    scores = np.array([run.scores[row] for run, row in zip(runs, rows, strict=True)])
    seconds = np.array([run.seconds[row] for run, row in zip(runs, rows, strict=True)])
    low, high = mean_interval(scores, seed=bootstrap.seed, resamples=bootstrap.resamples)
    return MethodCurve(method, runs[0].task, len(runs), np.array(common), seconds.mean(0), scores.mean(0), low, high)
