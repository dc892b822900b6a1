"""Four corners of the square to act in, one of which pays best; a state says nothing."""

from typing import NamedTuple

import numpy as np

from offlow_core.random_streams import stream_seed

ACTION_DIM = STATE_DIM = 2
MAX_ACTION = 1.0
SPREAD = 0.05
REWARD_SPREAD = 0.5
POINTS = 10_000
NEAR = 0.2


class Corner(NamedTuple):
    """One mode of the behaviour policy, and the mean reward that it gets."""

    name: str
    centre: tuple[float, float]
    reward: float


CORNERS = (
    Corner("left-up", (-0.8, 0.8), 3.0),
    Corner("left-down", (-0.8, -0.8), 0.0),
    Corner("right-up", (0.8, 0.8), 1.5),
    Corner("right-down", (0.8, -0.8), 5.0),
)
CENTRES = np.array([corner.centre for corner in CORNERS], np.float32)


class Bandit(NamedTuple):
    """Actions [N, 2] and their rewards [N], float32, corner by corner."""

    actions: np.ndarray
    rewards: np.ndarray


def make_bandit(seed: int, *, rewarded: bool, points: int = POINTS) -> Bandit:
    """`points` actions, a quarter of them around each corner; rewards are 0 where imitation is all that is asked."""
    # The rewards have a stream of their own: both experiments see the same actions.
    draws = [np.random.default_rng(stream_seed(seed, f"toy/{name}")) for name in ("actions", "rewards")]
    count = points // len(CORNERS)
    bandit = bandit_from(
        draws[0].standard_normal((len(CORNERS), count, ACTION_DIM)), draws[1].standard_normal((len(CORNERS), count))
    )
    return bandit if rewarded else bandit._replace(rewards=np.zeros_like(bandit.rewards))


def bandit_from(positions: np.ndarray, rewards: np.ndarray) -> Bandit:
    """The data that normal numbers for positions [4, n, 2] and rewards [4, n] make; actions stay in the square."""
    actions = np.clip(CENTRES[:, None] + SPREAD * positions, -MAX_ACTION, MAX_ACTION)
    means = np.array([corner.reward for corner in CORNERS])
    noisy = means[:, None] + REWARD_SPREAD * rewards
    return Bandit(actions.reshape(-1, ACTION_DIM).astype(np.float32), noisy.ravel().astype(np.float32))


def shares(samples: np.ndarray) -> np.ndarray:
    """Of samples [n, 2], which share is within 0.2 of each corner, and which of none, [5].

    Of the data itself 1 in 3,000 is farther away than that, four standard deviations.
    """
    distances = np.linalg.norm(samples[:, None] - CENTRES, axis=2)
    near = (distances <= NEAR).mean(0)
    return np.append(near, (distances > NEAR).all(1).mean())
