"""Where trajectories begin and end in storage order, and what they return."""

import numpy as np


def spans(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row and the row after the last one of each trajectory, two int64 arrays.

    `ends` [n] is true (or above 0) at the last row of each trajectory. Rows after the last end belong to none.
    """
    stops = np.flatnonzero(np.asarray(ends) > 0) + 1
    return np.concatenate([[0], stops[:-1]]).astype(np.int64)[: len(stops)], stops


def returns(rewards: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Undiscounted sum of the rewards of each trajectory that `ends` closes, added up in float64."""
    starts, stops = spans(ends)
    if not stops.size:
        return np.zeros(0)
    return np.add.reduceat(np.asarray(rewards[: stops[-1]], np.float64), starts)
