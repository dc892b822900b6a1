"""How much a dataset's actions differ where its states are alike: the intrinsic action variance (IAV).

    v_i = (1/A) sum_j Var over l in N(i) of a_lj        N(i): the k states nearest to state i (Euclidean)
    IAV = mean of v_i over the queried states i

DeFlow's users measure the trust region `target_divergence`, a mean squared displacement per action dimension, in it.
The published text names k = 5 and the division by A; everything else is a choice and belongs to the number.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from offlow_core.data.nearest_states import NearestStates
from offlow_core.data.recordings.measures import ranges
from offlow_core.data.trajectories import spans
from offlow_core.data.validation import DatasetError, require_finite, require_shape
from offlow_core.option_checks import check, check_choices
from offlow_core.random_streams import stream_seed


@dataclass(frozen=True)
class VarianceOptions:
    """The choices."""

    k: int = 5
    """neighbours whose actions are compared"""
    num_queries: int = 10_000
    """states, drawn at random, whose neighbours are looked for among all states; all if there are fewer"""
    standardize: bool = False
    """measure distances in standard deviations of each number of the states, instead of as it is stored"""
    include_self: bool = False
    """let a state be the first of its own k neighbours"""
    ddof: Literal[0, 1] = 0
    """sums of squares are divided by k - ddof: 0 for the population variance, 1 for the unbiased estimate"""
    exclude_same_trajectory: bool = False
    """look for neighbours in other trajectories only: in its own the next states are nearly the same"""
    seed: int = 0
    """of the draw of states"""

    def __post_init__(self) -> None:
        check_choices(self)
        check(self, "k", lambda value: value >= 2, "at least 2 (a single action has no variance)")
        check(self, "num_queries", lambda value: value >= 1, "at least 1")
        check(self, "seed", lambda value: value >= 0, "at least 0")


@dataclass(frozen=True)
class ActionVariance:
    """An estimate, and what it depends on."""

    value: float
    queries: int
    """States whose neighbours were looked for."""
    searched: int
    """States among which they were looked for."""
    k: int
    standardize: bool
    include_self: bool
    ddof: int
    exclude_same_trajectory: bool
    seed: int


def estimate_action_variance(
    observations: np.ndarray,
    actions: np.ndarray,
    ends: np.ndarray,
    options: VarianceOptions = VarianceOptions(),
    *,
    source: str = "the dataset",
    queries: np.ndarray | None = None,
) -> ActionVariance:
    """The IAV of states [n, d] with actions [n, A] in storage order; `ends` [n] closes trajectories.

    `queries` are rows to use instead of drawn ones. Raises DatasetError, which begins with `source`, for images, for
    numbers that are not finite, and for too few states.
    """
    require_states(observations, source)
    n = len(observations)
    require_shape(actions, (n, -1), "actions", source, " (one row per state)")
    require_shape(ends, (n,), "ends", source, " (one per state)")
    require_finite(observations, "observations", source)
    require_finite(actions, "actions", source)
    if n < options.k + 1:
        raise DatasetError(f"{source}: {options.k} neighbours of a state need {options.k + 1} states or more, got {n}.")
    queries = draw_queries(n, options.num_queries, options.seed) if queries is None else queries
    neighbours = find_neighbours(observations, ends, queries, options, source)
    return ActionVariance(
        value=float(variances(actions, neighbours, options.ddof).mean()),
        queries=len(queries),
        searched=n,
        k=options.k,
        standardize=options.standardize,
        include_self=options.include_self,
        ddof=options.ddof,
        exclude_same_trajectory=options.exclude_same_trajectory,
        seed=options.seed,
    )


def draw_queries(states: int, count: int, seed: int) -> np.ndarray:
    """`count` different rows out of `states`, or all of them if there are no more, in storage order."""
    if count >= states:
        return np.arange(states)
    generator = np.random.default_rng(stream_seed(seed, "action_variance"))
    return np.sort(generator.choice(states, count, replace=False))


def find_neighbours(
    observations: np.ndarray, ends: np.ndarray, queries: np.ndarray, options: VarianceOptions, source: str
) -> np.ndarray:
    """Rows of the k neighbours of each of the rows `queries`, nearest first, [q, k].

    A state is told from its duplicates by its row: they are its neighbours even where it is not. DatasetError where
    the other trajectories hold too few states.
    """
    excluded = _trajectories(ends, queries) if options.exclude_same_trajectory else (queries, queries + 1)
    others = options.k - options.include_self
    longest = int((excluded[1] - excluded[0]).max())
    if len(observations) - longest < others:
        raise DatasetError(
            f"{source}: a state needs {others} neighbours in other trajectories, but one trajectory holds "
            f"{longest:,} of the {len(observations):,} states. Leave exclude_same_trajectory out, or use more data."
        )
    scale = None
    if options.standardize:
        deviation = ranges(observations, "observations").deviation
        scale = np.where(deviation > 0, deviation, 1)
    found = NearestStates(observations, scale).find(queries, excluded, others)
    return np.concatenate([queries[:, None], found], axis=1) if options.include_self else found


def variances(actions: np.ndarray, neighbours: np.ndarray, ddof: int) -> np.ndarray:
    """Variance of the actions in each row of `neighbours` [q, k], averaged over the action dimensions, [q] float64."""
    return actions[neighbours].astype(np.float64).var(axis=1, ddof=ddof).mean(axis=1)


def require_states(observations: np.ndarray, source: str) -> None:
    """DatasetError unless the array holds one state vector per row."""
    if observations.dtype == np.uint8:
        raise DatasetError(
            f"{source}: `observations` are images, whose distances say little about how alike two states are. Use the "
            "dataset of the same task with states (for OGBench: the name without `visual-`)."
        )
    if not np.issubdtype(observations.dtype, np.floating):
        raise DatasetError(f"{source}: `observations` must hold floating-point numbers, got {observations.dtype}.")
    require_shape(observations, (-1, -1), "observations", source, " (one state vector per row)")


def _trajectories(ends: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row and the row after the last one of the trajectory of each row; what follows the last end is one, too."""
    closed = np.asarray(ends) > 0
    closed[-1] = True
    starts, stops = spans(closed)
    which = np.searchsorted(stops, rows, side="right")
    return starts[which], stops[which]
