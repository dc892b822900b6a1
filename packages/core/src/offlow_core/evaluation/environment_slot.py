"""One environment and the episode that runs in it, kept apart from every other."""

from collections.abc import Callable
from typing import NamedTuple

import gymnasium
import numpy as np

from offlow_core.evaluation.action_queue import ActionQueue
from offlow_core.evaluation.errors import EvaluationError
from offlow_core.evaluation.records import numbers_in
from offlow_core.numpy_stream import as_global_generator


class Progress(NamedTuple):
    """An episode that goes on."""

    observation: np.ndarray
    step: int  # steps taken since the reset


class Ending(NamedTuple):
    """An episode that is over."""

    return_: float
    length: int
    terminated: bool
    info: dict[str, float]  # numbers of the last step's info, success among them


Outcome = Progress | Ending


class EnvironmentSlot:
    """An environment with its own copy of numpy's global generator.

    Some environments draw from the global generator (mazes do, at resets and at teleporters). Each slot swaps in a
    generator of its own, seeded with the episode, so that an episode depends on its seed and on nothing that
    neighbouring environments do.
    """

    def __init__(self, build: Callable[[], gymnasium.Env]) -> None:
        # Equal in all slots: what an environment draws once, while it is built, must not depend on the slot.
        self._random = np.random.MT19937(0)
        with as_global_generator(self._random):
            self._environment = build()
        self._bounds = _action_bounds(self._environment)
        self._queue = ActionQueue()
        self._return, self.step = 0.0, 0

    def reset(self, seed: int) -> Outcome:
        """Begin the episode of this seed."""
        self._return, self.step = 0.0, 0
        self._random = np.random.MT19937(seed)
        with as_global_generator(self._random):
            observation, _ = self._environment.reset(seed=seed)
        return Progress(_checked_observation(observation), self.step)

    def run(self, actions: np.ndarray) -> Outcome:
        """Execute an action [A] or a chunk [h, A], clipped to the action space, up to the episode's end at most."""
        self._queue.add(self._checked_actions(actions))
        with as_global_generator(self._random):
            while self._queue:
                observation, reward, terminated, truncated, info = self._environment.step(self._queue.pop())
                self._return += float(reward)
                self.step += 1
                if terminated or truncated:
                    self._queue.clear()
                    return Ending(self._return, self.step, bool(terminated), numbers_in(info))
        return Progress(_checked_observation(observation), self.step)

    def close(self) -> None:
        """Release the environment."""
        self._environment.close()

    def _checked_actions(self, actions: np.ndarray) -> np.ndarray:
        low, high = self._bounds
        if actions.shape[-1:] != low.shape:
            raise EvaluationError(
                f"the environment takes actions of shape {low.shape}, the policy gave {actions.shape}"
            )
        if not np.isfinite(actions).all():
            raise EvaluationError(
                f"the policy gave a non-finite action: {actions.tolist()}. Its parameters have probably diverged; "
                "evaluate an earlier checkpoint, or look for a non-finite loss"
            )
        return np.clip(actions, low, high).astype(low.dtype)


def _action_bounds(environment: gymnasium.Env) -> tuple[np.ndarray, np.ndarray]:
    space = environment.action_space
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise EvaluationError(f"expected an environment with a Box action space of one axis, got {space}")
    return space.low, space.high


def _checked_observation(observation: object) -> np.ndarray:
    array = np.asarray(observation)
    if array.dtype.kind not in "biuf":
        raise EvaluationError(
            f"expected observations that are one array of numbers, got {type(observation).__name__}; flatten them in a "
            "wrapper (gymnasium.wrappers.FlattenObservation)"
        )
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array)).tolist()
        raise EvaluationError(f"the environment gave an observation that is not finite at {where}: its state diverged")
    return array
