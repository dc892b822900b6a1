"""Episodes that a policy plays, kept as rows of a dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from offlow_core.data.recordings.recording import Recording
from offlow_core.evaluation import Evaluator, Policy
from offlow_core.random_streams import stream_seed

Episode = dict[str, np.ndarray]
ENVIRONMENTS = 10


class Recorder(gymnasium.Wrapper):
    """Keeps every episode that runs to its end, by the seed of its reset."""

    def __init__(self, env: gymnasium.Env, episodes: dict[int | None, Episode]):
        super().__init__(env)
        self._episodes, self._rows, self._seed = episodes, [], 0

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        self._rows, self._seed, self._observation = [], seed, observation
        return observation, info

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._rows.append((self._observation, action, reward, terminated, truncated and not terminated, observation))
        self._observation = observation
        if terminated or truncated:
            names = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
            columns = zip(*self._rows, strict=True)
            self._episodes[self._seed] = {n: np.array(values) for n, values in zip(names, columns, strict=True)}
        return observation, reward, terminated, truncated, info


def roll_out(
    policy: Policy,
    make_environment: Callable[..., gymnasium.Env],
    transitions: int,
    *,
    seed: int,
    progress: Callable[[int], Any] = lambda rows: None,
) -> list[Episode]:
    """Episodes of the policy with at least so many transitions in all; the last one is cut off where that many are.

    Equal seeds give equal episodes. `progress` is told the number of rows so far.
    """
    kept: dict[int | None, Episode] = {}
    found: list[Episode] = []
    rows = wave = 0

    def make_recorder(render_mode: str | None = None) -> Recorder:
        return Recorder(make_environment(render_mode=render_mode), kept)

    with Evaluator(make_recorder, num_envs=ENVIRONMENTS, num_workers=0) as evaluator:
        while rows < transitions:
            records = evaluator.evaluate(policy, episodes=ENVIRONMENTS, seed=stream_seed(seed, "collect", wave))
            found += [kept.pop(record.seed) for record in records]
            rows, wave = sum(len(episode["rewards"]) for episode in found), wave + 1
            progress(min(rows, transitions))
    return _cut(found, transitions)


def _cut(episodes: list[Episode], transitions: int) -> list[Episode]:
    kept, room = [], transitions
    for episode in episodes:
        part = {name: values[:room].copy() for name, values in episode.items()}
        kept.append(part)
        room -= len(part["rewards"])
        if room == 0:
            break
    kept[-1]["timeouts"][-1] = not kept[-1]["terminals"][-1]
    return kept


def d4rl_recording(rows: Episode, bounds: tuple[np.ndarray, np.ndarray] | None, path: Path) -> Recording:
    """Rows of episodes, one after another, as D4RL's files have them: float32, and actions in [-1, 1].

    `bounds` are the lowest and highest actions where these are others than -1 and 1.
    """
    actions = np.asarray(rows["actions"], np.float64)
    if bounds is not None:
        low, high = bounds
        actions = np.clip(2 * (actions - low) / (high - low) - 1, -1, 1)
    return Recording(
        path=path,
        format="d4rl",
        observations=np.asarray(rows["observations"], np.float32),
        actions=actions.astype(np.float32),
        rewards=np.asarray(rows["rewards"], np.float32),
        terminals=np.asarray(rows["terminals"], bool),
        timeouts=np.asarray(rows["timeouts"], bool),
        next_observations=np.asarray(rows["next_observations"], np.float32),
        extras={},
    )


def joined(episodes: list[Episode]) -> Episode:
    """The rows of all episodes, one after another."""
    return {name: np.concatenate([episode[name] for episode in episodes]) for name in episodes[0]}
