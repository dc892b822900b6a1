"""Any environment, made to fit what the algorithms expect: actions in [-1, 1], and float32 or image observations."""

import gymnasium
import numpy as np

from offlow_core.errors import UserError
from offlow_core.suites.spaces import box
from offlow_core.suites.wrappers import Float32Observations, FrameStack, OwnNumpyStream


class UnusableEnvironmentError(UserError, ValueError):
    """An environment that cannot be made, or whose observations or actions no algorithm here can use."""


def fitted(env: gymnasium.Env, name: str, frame_stack: int | None = None) -> gymnasium.Env:
    """`env` with actions in [-1, 1], float32 or image observations (stacked), and numpy's generator to itself.

    UnusableEnvironmentError, which begins with `name`, says what does not fit and how to change it.
    """
    space = env.observation_space
    images = isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != (3 if images else 1):
        raise UnusableEnvironmentError(
            f"{name}: observations must be one vector, or a uint8 image [height, width, channels], got {space}. "
            "Make the environment in a function of your own that wraps it, for example in "
            "gymnasium.wrappers.FlattenObservation."
        )
    if action_bounds(env.action_space, name) is not None:
        env = UnitActions(env)
    env = Float32Observations(OwnNumpyStream(env))
    return env if frame_stack is None else FrameStack(env, frame_stack)


def action_bounds(space: gymnasium.Space, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The bounds that [-1, 1] has to be rescaled to, or None where these are the bounds.

    UnusableEnvironmentError where the actions are no vector of real numbers, or not bounded.
    """
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1 or space.dtype.kind != "f":
        raise UnusableEnvironmentError(f"{name}: actions must be a vector of real numbers (a Box), got {space}.")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all() and (space.low < space.high).all()):
        raise UnusableEnvironmentError(
            f"{name}: actions must have finite bounds, got {space}. Make the environment in a function of your own "
            "that gives it an action_space with the bounds of what its actuators can do."
        )
    if (space.low == -1).all() and (space.high == 1).all():
        return None
    return space.low, space.high


class UnitActions(gymnasium.ActionWrapper):
    """Takes actions in [-1, 1] and rescales them to the environment's own bounds.

    `gymnasium.wrappers.RescaleAction` misses the bounds by a rounding error where actions are +-1, as a policy's often
    are; an environment that checks its actions then fails.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        space = box(env.action_space)
        self._low, self._high = space.low.astype(np.float64), space.high.astype(np.float64)
        self._dtype = space.dtype
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, space.shape, np.float32)

    def action(self, action: np.ndarray) -> np.ndarray:
        rescaled = self._low + (np.asarray(action, np.float64) + 1) / 2 * (self._high - self._low)
        return np.clip(rescaled, self._low, self._high).astype(self._dtype)
