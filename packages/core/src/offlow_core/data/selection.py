"""Parts of a dataset: the best trajectories, a random share of them, or its beginning."""

from dataclasses import replace

import numpy as np

from offlow_core.data.trajectories import returns, spans
from offlow_core.data.transitions import Transitions
from offlow_core.option_checks import OptionError


def best_trajectories(transitions: Transitions, percentile: float) -> Transitions:
    """The `percentile` percent of trajectories with the highest undiscounted returns, in storage order.

    That is int(trajectories * percentile / 100) of them, but at least one; of equal returns the later one is kept.
    """
    ranking = np.argsort(returns(transitions.rewards, transitions.terminals), kind="stable")
    return _keep_trajectories(transitions, ranking[-_count(len(ranking), percentile, "percentile") :])


def random_trajectories(transitions: Transitions, percentage: float, generator: np.random.Generator) -> Transitions:
    """`percentage` percent of the trajectories (rounded down, but at least one), drawn at random, in storage order."""
    trajectories = len(spans(transitions.terminals)[0])
    count = _count(trajectories, percentage, "percentage")
    return _keep_trajectories(transitions, generator.choice(trajectories, count, replace=False))


def first_transitions(transitions: Transitions, proportion: float) -> Transitions:
    """The first int(n * proportion) transitions; the last of them ends its trajectory."""
    kept = int(len(transitions) * proportion) if 0 < proportion <= 1 else 0
    if kept == 0:
        raise OptionError(
            f"the proportion of {len(transitions)} transitions to keep must lie in (0, 1] and leave at least one, "
            f"got {proportion!r}"
        )
    part = select(transitions, np.arange(kept))
    part.terminals[-1] = 1
    return part


def select(transitions: Transitions, indices: np.ndarray) -> Transitions:
    """These transitions, in the order of `indices`, and of the stored observations only those they need.

    Borders are right where `indices` holds whole trajectories.
    """
    rows, next_rows = transitions.rows[indices], transitions.next_rows[indices]
    needed, position = np.unique(np.concatenate([rows, next_rows]), return_inverse=True)
    position = position.astype(np.int32)
    chosen = {name: getattr(transitions, name)[indices] for name in ("actions", "rewards", "masks", "terminals")}
    return replace(
        transitions,
        observations=transitions.observations[needed],
        rows=position[: len(rows)],
        next_rows=position[len(rows) :],
        **chosen,
    )


def _keep_trajectories(transitions: Transitions, chosen: np.ndarray) -> Transitions:
    starts, stops = spans(transitions.terminals)
    kept = np.zeros(len(starts), bool)
    kept[chosen] = True
    return select(transitions, np.flatnonzero(np.repeat(kept, stops - starts)))


def _count(trajectories: int, percent: float, name: str) -> int:
    if not 0 < percent <= 100:
        raise OptionError(f"{name} must lie in (0, 100], got {percent!r}")
    return max(1, int(trajectories * percent / 100))
