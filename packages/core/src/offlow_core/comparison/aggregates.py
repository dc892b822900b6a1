"""Statistics over the tasks of a suite, with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from offlow_core.comparison.statistics import (
    RESAMPLES,
    STATISTICS,
    Estimate,
    estimate,
    performance_profile,
    probability_of_improvement,
)
from offlow_core.comparison.summary import SuiteScores

THRESHOLDS = 101


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn; equal values give equal intervals."""

    resamples: int = RESAMPLES
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Profile:
    """Share of a method's scores above each threshold, with its pointwise interval; all [n]."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class Aggregates:
    """Everything that is said of a suite as a whole."""

    scores: SuiteScores
    statistics: Mapping[str, Mapping[str, Estimate]]
    """By method, by the statistic's name."""
    improvement: Mapping[tuple[str, str], Estimate]
    """Probability that the first method of a pair is better than the second."""
    thresholds: np.ndarray
    profiles: Mapping[str, Profile]


def aggregate(suite: SuiteScores, bootstrap: Bootstrap) -> Aggregates:
    """All statistics of all methods and pairs of methods."""
    how = {"seed": bootstrap.seed, "resamples": bootstrap.resamples}
    highest = max((float(scores.max()) for scores in suite.scores.values()), default=1.0)
    thresholds = np.linspace(0, max(1.0, highest), THRESHOLDS)
    return Aggregates(
        scores=suite,
        statistics={
            method: {name: estimate(scores, statistic, **how) for name, statistic in STATISTICS.items()}
            for method, scores in suite.scores.items()
        },
        improvement={
            (x, y): probability_of_improvement(suite.scores[x], suite.scores[y], **how)
            for x, y in permutations(suite.scores, 2)
        },
        thresholds=thresholds,
        profiles={
            method: Profile(*performance_profile(scores, thresholds, **how)) for method, scores in suite.scores.items()
        },
    )
