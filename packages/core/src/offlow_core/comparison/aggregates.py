"""Statistics over the tasks of a suite, with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

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
MOST_PAIRED = 20
"""With more methods their pairs, which grow with the square, are left out."""


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
        improvement=_improvements(suite.scores, how) if len(suite.scores) <= MOST_PAIRED else {},
        thresholds=thresholds,
        profiles={
            method: Profile(*performance_profile(scores, thresholds, **how)) for method, scores in suite.scores.items()
        },
    )


def _improvements(scores: Mapping[str, np.ndarray], how: Mapping[str, int]) -> dict[tuple[str, str], Estimate]:
    found = {}
    for x, y in combinations(scores, 2):
        better = probability_of_improvement(scores[x], scores[y], **how)
        found[x, y] = better
        found[y, x] = Estimate(1 - better.value, 1 - better.high, 1 - better.low)
    return found
