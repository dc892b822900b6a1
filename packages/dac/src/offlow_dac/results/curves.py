"""Curves over seeds, of one folder of results or of several in one picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offlow_core.training.seed_curves import SeedCurve
from offlow_dac.results.scores import ResultsError, SeedScores, read_seed

RULE = "mean over seeds, band: one sample standard deviation"


def seed_curve(label: str, seeds: Sequence[SeedScores], window: int = 1) -> SeedCurve:
    """Mean over seeds and one sample deviation where all were evaluated; each seed first smoothed over `window`.

    The smoothed value of an evaluation is the mean of it and of those before it in its window.
    """
    steps = sorted(set.intersection(*(set(scores.steps.tolist()) for scores in seeds)))
    if not steps:
        raise ResultsError(f"the seeds of {label} were never evaluated after the same step")
    values = np.array([_smoothed(scores.means[np.isin(scores.steps, steps)], window) for scores in seeds])
    mean, deviation = values.mean(0), values.std(0, ddof=1) if len(seeds) > 1 else np.zeros(len(steps))
    label = f"{label} ({len(seeds)} seed{'s' * (len(seeds) > 1)})"
    return SeedCurve(label, np.array(steps), mean, mean - deviation, mean + deviation)


def read_folder(folder: Path) -> list[SeedScores]:
    """All seeds of a folder of results, ours or the official code's."""
    paths = sorted(folder.glob("seed_*.txt"))
    if not paths:
        raise ResultsError(f"{folder} has no seed_<number>.txt; name folders such as RUN/results")
    return [read_seed(path) for path in paths]


def _smoothed(values: np.ndarray, window: int) -> np.ndarray:
    sums = np.cumsum(np.concatenate([np.zeros(1), values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
