"""Environments that an agent explores while it trains, at a position that can be saved and found again."""

from collections import deque
from collections.abc import Callable, Sequence

import gymnasium
import numpy as np

from offlow_core.data.reward_rules import UNCHANGED
from offlow_core.random_streams import stream_seed
from offlow_core.suites.spaces import box

RECENT_EPISODES = 20


class Interaction:
    """One environment per seed, stepped in this process.

    A position is (episode, actions since its reset): environments are deterministic given the reset's seed, so
    replaying the actions leads back to it exactly, whatever hidden state an environment keeps.
    """

    def __init__(
        self,
        make_environment: Callable[[], gymnasium.Env] | None,
        seeds: Sequence[int],
        rewards: Callable[[np.ndarray], np.ndarray] = UNCHANGED,
    ):
        """`rewards` maps those of the transitions, not the returns of the episodes; ValueError without environment."""
        if make_environment is None:
            raise ValueError("a phase has steps in an environment, but its task has no environment")
        self._walks = [_Walk(make_environment(), seed) for seed in seeds]
        self._rewards = rewards

    @property
    def observations(self) -> np.ndarray:
        """Where the environments stand, [S, ...]."""
        return np.stack([walk.observation for walk in self._walks])

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Of every environment."""
        return self._walks[0].action_space

    def step(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        """Execute one action per environment [S, A]; the transitions, with a leading axis [S].

        The masks are 1 - terminated, the terminals 1 where an episode is over for whatever reason; its environment is
        reset for the next step.
        """
        steps = [walk.step(action) for walk, action in zip(self._walks, actions, strict=True)]
        stacked = {name: np.stack([step[name] for step in steps]) for name in steps[0]}
        return stacked | {"rewards": self._rewards(stacked["rewards"])}

    def last_episodes(self) -> list[dict[str, float]]:
        """Return, length and success of the episode that each environment finished last; empty before the first.

        `return_mean20` is the mean return of the latest 20.
        """
        return [walk.last_episode for walk in self._walks]

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        """The position of one environment."""
        return self._walks[index].state_arrays()

    def load_state_arrays(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        """Go to a position by replaying it."""
        self._walks[index].load_state_arrays(arrays)

    def close(self) -> None:
        """Close the environments."""
        for walk in self._walks:
            walk.close()


class _Walk:
    """One environment and the way to where it stands."""

    def __init__(self, environment: gymnasium.Env, seed: int):
        self.environment, self._seed = environment, seed
        self.action_space = box(environment.action_space)
        self.last_episode: dict[str, float] = {}
        self._returns: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._begin(0)

    def _begin(self, episode: int) -> None:
        self._episode, self._actions, self._return = episode, [], 0.0
        self.observation, _ = self.environment.reset(seed=stream_seed(self._seed, "env", episode))

    def step(self, action: np.ndarray) -> dict[str, np.ndarray | np.float32]:
        before = self.observation
        after, reward, terminated, truncated, info = self.environment.step(action)
        self.observation = after
        self._actions.append(np.asarray(action, np.float32))
        self._return += float(reward)
        if terminated or truncated:
            self._returns.append(self._return)
            self.last_episode = {"return": self._return, "length": float(len(self._actions))}
            self.last_episode[f"return_mean{RECENT_EPISODES}"] = float(np.mean(self._returns))
            if "success" in info:
                self.last_episode["success"] = float(info["success"])
            self._begin(self._episode + 1)
        return {
            "observations": before,
            "actions": np.asarray(action, np.float32),
            "rewards": np.float32(reward),
            "masks": np.float32(not terminated),
            "terminals": np.float32(terminated or truncated),
            "next_observations": after,
        }

    def state_arrays(self) -> dict[str, np.ndarray]:
        shape = (len(self._actions), *self.action_space.shape)
        actions = np.stack(self._actions) if self._actions else np.zeros(shape, np.float32)
        last = self.last_episode
        return {
            "episode": np.asarray(self._episode),
            "actions": actions,
            "returns": np.array(self._returns, np.float64),
            **{f"last_episode/{name}": np.asarray(value) for name, value in last.items()},
        }

    def load_state_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        self._begin(int(arrays["episode"]))
        for action in arrays["actions"]:
            self.step(action)
        self._returns = deque(arrays["returns"].tolist(), maxlen=RECENT_EPISODES)
        prefix = "last_episode/"
        self.last_episode = {k.removeprefix(prefix): float(v) for k, v in arrays.items() if k.startswith(prefix)}

    def close(self) -> None:
        self.environment.close()
