"""Aggregate scores with stratified bootstrap intervals (Agarwal et al., 2021, arXiv 2108.13264).

Scores are [S, T]: S seeds of each of T tasks, higher is better, usually normalised so that 1 is the goal. A resample
draws S seeds with replacement for each task by itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from offlow_core.errors import UserError

RESAMPLES = 2_000
CHUNK = 250  # resamples at once: memory stays small
LEVEL = 0.95


class StatisticsError(UserError, ValueError):
    """Scores that nothing can be said about."""


@dataclass(frozen=True)
class Estimate:
    """A statistic of all scores, and the percentile interval of its resamples."""

    value: float
    low: float
    high: float


def median(scores: np.ndarray) -> np.ndarray:
    """Median over tasks of the means over seeds, [..., S, T] -> [...]."""
    return np.median(scores.mean(-2), -1)


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over tasks of the means over seeds, [..., S, T] -> [...]."""
    return scores.mean((-2, -1))


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Mean of the middle half of all scores, floor(S T / 4) being left out at each end, [..., S, T] -> [...]."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    cut = flat.shape[-1] // 4
    if cut == 0:
        return flat.mean(-1)
    ordered = np.partition(flat, (cut, flat.shape[-1] - cut - 1), -1)
    return ordered[..., cut : flat.shape[-1] - cut].mean(-1)


def optimality_gap(scores: np.ndarray) -> np.ndarray:
    """1 - mean of min(score, 1), [..., S, T] -> [...]; lower is better."""
    return 1 - np.minimum(scores, 1).mean((-2, -1))


Statistic = Callable[[np.ndarray], np.ndarray]
STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {"IQM": interquartile_mean, "mean": mean, "median": median, "optimality gap": optimality_gap}
)


def estimate(
    scores: np.ndarray, statistic: Statistic, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> Estimate:
    """A statistic of scores [S, T] with its interval; equal seeds give equal intervals."""
    scores = _checked(scores)
    values = np.concatenate([statistic(part) for part in _resampled(scores, seed, resamples)])
    return _estimate(float(statistic(scores)), values, level)


def probability_of_improvement(
    x: np.ndarray, y: np.ndarray, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> Estimate:
    """Mean over tasks of P(x > y) + P(x = y) / 2 over all pairs of seeds, x [S, T] and y [R, T]; both are resampled."""
    x, y = _checked(x), _checked(y)
    if x.shape[1] != y.shape[1]:
        raise StatisticsError(f"both need scores of the same tasks, got {x.shape[1]} and {y.shape[1]} of them")
    better = (x[:, None] > y) + 0.5 * (x[:, None] == y)  # [S, R, T]
    pairs = len(x) * len(y)
    random = np.random.default_rng(seed)
    values = []
    for count in _chunks(resamples):
        of_x, of_y = (_draw_counts(random, count, *part.shape) for part in (x, y))
        values.append(np.einsum("nst,srt,nrt->n", of_x, better, of_y, optimize=True) / (pairs * x.shape[1]))
    return _estimate(float(better.mean()), np.concatenate(values), level)


def performance_profile(
    scores: np.ndarray,
    thresholds: np.ndarray,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of all scores [S, T] above each threshold [n], with its pointwise interval: value, low and high [n]."""
    scores = _checked(scores)
    profiles = np.concatenate([_shares_above(part, thresholds) for part in _resampled(scores, seed, resamples)])
    low, high = np.quantile(profiles, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return _shares_above(scores[None], thresholds)[0], low, high


def mean_interval(
    values: np.ndarray, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise interval [n] and [n] of the mean over seeds of values [S, n]; a seed is drawn with all its points."""
    values = _checked(values)
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    counts = np.stack([(drawn == index).sum(1) for index in range(len(values))], 1)
    low, high = np.quantile(counts @ values / len(values), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _shares_above(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """[N, S, T] and [n] -> [N, n]"""
    ordered = np.sort(scores.reshape(len(scores), -1), -1)
    size = ordered.shape[1]
    return np.stack([1 - np.searchsorted(row, thresholds, side="right") / size for row in ordered])


def _checked(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, float)
    if scores.ndim != 2 or scores.size == 0:
        raise StatisticsError(f"scores must be [seeds, tasks] with at least one of each, got the shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise StatisticsError("scores must be finite numbers; leave runs without a score out")
    return scores


def _resampled(scores: np.ndarray, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """Resamples of scores [S, T], chunk by chunk, [n, S, T]."""
    random = np.random.default_rng(seed)
    seeds, tasks = scores.shape
    for count in _chunks(resamples):
        drawn = random.integers(seeds, size=(count, seeds, tasks))
        yield scores[drawn, np.arange(tasks)]


def _draw_counts(random: np.random.Generator, count: int, seeds: int, tasks: int) -> np.ndarray:
    """How often each seed is drawn for each task, [count, seeds, tasks]."""
    return random.multinomial(seeds, np.full(seeds, 1 / seeds), size=(count, tasks)).transpose(0, 2, 1).astype(float)


def _chunks(resamples: int) -> Iterator[int]:
    for start in range(0, resamples, CHUNK):
        yield min(CHUNK, resamples - start)


def _estimate(value: float, resampled: np.ndarray, level: float) -> Estimate:
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))
