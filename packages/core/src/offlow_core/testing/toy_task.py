"""A task of one's own in memory, for tests that drive a learner: random data, a tiny environment, a bandit."""

from collections.abc import Callable
from dataclasses import replace

import gymnasium
import numpy as np

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.suites.task import Task

BEST_ACTION = 0.6
"""Of the bandit; the data's actions are drawn around 0.1."""


class Push(gymnasium.Env):
    """Two numbers and a one-dimensional push; ends when the first passes 1, else after 4 steps."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.normal(size=2), 0
        return self.place.astype(np.float32), {}

    def step(self, action):
        self.steps += 1
        self.place = self.place + np.array([float(action[0]), 0.1 * self.np_random.normal()])
        done = bool(self.place[0] > 1)
        return self.place.astype(np.float32), float(done), done, self.steps == 4, {"success": float(done)}


def make_dataset(n: int = 22, shape: tuple[int, ...] = (2,), seed: int = 0) -> Dataset:
    """Trajectories of 11 steps with actions in one dimension; half as many validation transitions."""
    return Dataset(_random_transitions(n, shape, seed), _random_transitions(n // 2, shape, seed + 1), {})


def _random_transitions(n: int, shape: tuple[int, ...], seed: int) -> Transitions:
    rng = np.random.default_rng(seed)
    images = len(shape) == 3
    frames = rng.integers(0, 256, (n + 1, *shape), np.uint8) if images else rng.normal(size=(n + 1, *shape))
    frames = frames if images else frames.astype(np.float32)
    ends = np.arange(n) % 11 == 10
    return Transitions.from_arrays(
        frames[:-1], rng.uniform(-1, 1, (n, 1)), rng.normal(size=n), rng.random(n) < 0.9, ends, frames[1:]
    )


def make_bandit() -> Dataset:
    """400 single steps with rewards -|a - BEST_ACTION| for actions around 0.1, whatever the observation."""
    rng = np.random.default_rng(0)
    data = make_dataset(400).train
    data = replace(data, actions=np.clip(rng.normal(0.1, 0.3, (400, 1)), -1, 1).astype(np.float32))
    rewards = -np.abs(data.actions[:, 0] - BEST_ACTION)
    return Dataset(replace(data, rewards=rewards, masks=np.zeros(400, np.float32)), None, {})


def make_task(make_environment: Callable = Push) -> Task:
    """The task of `make_dataset`, in an environment of one's own or in `Push`."""
    return Task("push", "push", "toy", 4, make_environment, make_dataset, dict)


def random_batch(n: int, observation_dim: int, action_dim: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch of n transitions from normal states and uniform actions, none of which ends an episode."""
    rng = np.random.default_rng(seed)
    return {
        "observations": rng.normal(size=(n, observation_dim)).astype(np.float32),
        "next_observations": rng.normal(size=(n, observation_dim)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (n, action_dim)).astype(np.float32),
        "rewards": rng.normal(size=n).astype(np.float32),
        "masks": np.ones(n, np.float32),
    }
