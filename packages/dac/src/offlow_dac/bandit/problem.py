"""Four sets of actions in the square, and a reward that is highest outside of all of them."""

from typing import NamedTuple

import numpy as np

from offlow_core.data.transitions import Dataset, Transitions

ACTION_DIM = 2
BEST_ACTION = (0.4, -0.4)
REWARD_SPREAD = 0.5
NEAR = 0.1
DATA_SEED = 0

BLOB_POINTS, BLOB_SPREAD = 400, 0.1
SHAPE_CENTRES, POINTS_PER_CENTRE, SHAPE_SPREAD = 40, 10, 0.05
SHAPE_SIZE, SHAPE_CORNER = 1.1, (-0.8, -0.2)
INNER_RADIUS = 0.8

DATA_NAMES = ("two_blobs", "three_blobs", "moons", "circles")
_BLOB_CENTRES = {
    "two_blobs": [(-0.6, 0.6), (0.4, 0.2)],
    "three_blobs": [(-0.6, 0.6), (0.4, 0.4), (-0.4, -0.4)],
}


def make_actions(name: str) -> np.ndarray:
    """The actions [N, 2] float32 of a set, the same ones in every run; they stay in [-1, 1]."""
    from sklearn.datasets import make_blobs

    if name in _BLOB_CENTRES:
        centres = np.array(_BLOB_CENTRES[name])
        counts, spread = [BLOB_POINTS] * len(centres), BLOB_SPREAD
    else:
        centres = _placed(_shape(name))
        counts, spread = [POINTS_PER_CENTRE] * len(centres), SHAPE_SPREAD
    points, _ = make_blobs(counts, centers=centres, cluster_std=spread, random_state=DATA_SEED)
    return np.clip(points, -1, 1).astype(np.float32)


def make_dataset(actions: np.ndarray) -> Dataset:
    """Single steps from one observation (0) that end at once, with rewards [N] that have no noise yet."""
    nothing, ones = np.zeros((len(actions), 1), np.float32), np.ones(len(actions), np.float32)
    train = Transitions.from_arrays(nothing, actions, true_rewards(actions), 1 - ones, ones, nothing)
    return Dataset(train, None, {})


def true_rewards(actions: np.ndarray) -> np.ndarray:
    """Expected rewards [n] of actions [n, 2]: minus the distance from the best one."""
    return -np.linalg.norm(actions - np.array(BEST_ACTION, np.float32), axis=1)


class Score(NamedTuple):
    """Of some actions: mean distance from the nearest point of the data, share within 0.1 of one, mean reward."""

    distance: float
    near: float
    reward: float


def score(actions: np.ndarray, data: np.ndarray) -> Score:
    """Judge actions [n, 2] by the data [N, 2]."""
    return _score(actions, _nearest(data).kneighbors(actions)[0])


def score_of_data(data: np.ndarray) -> Score:
    """The same for the data themselves, each point beside the others: what perfect imitation would get."""
    return _score(data, _nearest(data).kneighbors()[0])


def _score(actions: np.ndarray, distances: np.ndarray) -> Score:
    return Score(float(distances.mean()), float((distances <= NEAR).mean()), float(true_rewards(actions).mean()))


def _nearest(data: np.ndarray):
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=1).fit(data)


def _shape(name: str) -> np.ndarray:
    from sklearn.datasets import make_circles, make_moons

    if name == "moons":
        return make_moons(SHAPE_CENTRES, random_state=DATA_SEED)[0]
    return make_circles(SHAPE_CENTRES, factor=INNER_RADIUS, random_state=DATA_SEED)[0]


def _placed(points: np.ndarray) -> np.ndarray:
    """Points moved and stretched into the square [-0.8, 0.3] x [-0.2, 0.9]."""
    low, high = points.min(0), points.max(0)
    return (points - low) / (high - low) * SHAPE_SIZE + np.array(SHAPE_CORNER)
