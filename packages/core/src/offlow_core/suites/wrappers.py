"""Environment wrappers that every suite may use."""

import contextlib
import warnings
from collections import deque
from collections.abc import Generator

import gymnasium
import numpy as np

from offlow_core.numpy_stream import as_global_generator
from offlow_core.suites.spaces import box


class OwnNumpyStream(gymnasium.Wrapper):
    """Gives an environment that draws from numpy's global generator a stream of its own.

    `reset(seed=...)` seeds that stream as `numpy.random.seed` would, so that the environment's draws are reproducible,
    do not depend on what else runs in the process, and leave the caller's global generator where it was.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self._stream = np.random.MT19937()

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        with as_global_generator(self._stream):
            if seed is not None:
                np.random.seed(seed)  # noqa: NPY002 (the generator that the environment uses)
            return self.env.reset(seed=seed, options=options)

    def step(self, action):
        with as_global_generator(self._stream):
            return self.env.step(action)


class Float32Observations(gymnasium.ObservationWrapper):
    """Casts observations to float32, the type of the datasets; images stay uint8."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        space = env.observation_space
        self.observation_space = (
            space if space.dtype == np.uint8 else gymnasium.spaces.Box(-np.inf, np.inf, space.shape, np.float32)
        )

    def observation(self, observation):
        return np.asarray(observation, self.observation_space.dtype)


class FrameStack(gymnasium.Wrapper):
    """Concatenates the last `frames` observations over the last axis; at reset the first one is repeated."""

    def __init__(self, env: gymnasium.Env, frames: int):
        super().__init__(env)
        self._frames: deque[np.ndarray] = deque(maxlen=frames)
        self._count = frames
        space = box(env.observation_space)
        low, high = (np.concatenate([bound] * frames, axis=-1) for bound in (space.low, space.high))
        self.observation_space = gymnasium.spaces.Box(low, high, dtype=space.dtype)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        self._frames.extend([observation] * self._count)
        return self._stacked(), info

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._frames.append(observation)
        return self._stacked(), reward, terminated, truncated, info

    def _stacked(self) -> np.ndarray:
        return np.concatenate(self._frames, axis=-1)


class QuietSpaces(gymnasium.Wrapper):
    """Reads the spaces of an environment once and hides gymnasium's remarks about their bounds becoming float32.

    OGBench's manipulation environments make a new space at each request: a remark each time, and for image observations
    an image.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        with _precision_remarks_hidden():
            self.observation_space = env.observation_space
            self.action_space = env.action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        with _precision_remarks_hidden():
            return self.env.reset(seed=seed, options=options)


@contextlib.contextmanager
def _precision_remarks_hidden() -> Generator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered by casting.*")
        yield
