"""Small environments that worker processes can import: conftest.py puts this folder on the path that they inherit."""

import os
import signal
import sys
import time

import gymnasium
import numpy as np


class Walk(gymnasium.Env):
    """Adds up its actions: terminates with success at 3 or more, is truncated after 5 steps; reward = action."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.reported = {"pid": os.getpid()}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed, self.steps, self.total = seed, 0, 0.0
        return self.observation(), {}

    def step(self, action):
        self.steps += 1
        self.total += float(action[0])
        done = self.total >= 3
        info = {"success": float(done), "total": np.float32(self.total), "name": "walk", "pair": np.ones(2)}
        return self.observation(), float(action[0]), done, self.steps == 5, info | self.reported

    def observation(self):
        return np.array([self.steps, self.total], np.float32)


class Quiet(Walk):
    """Reports nothing about success."""

    def step(self, action):
        *outcome, _ = super().step(action)
        return *outcome, {}


class Weather(Walk):
    """Everything is random: from its own generator, and from numpy's global one, which it does not seed itself."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.built_with = np.random.random()  # noqa: NPY002

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.limit = int(self.np_random.integers(1, 9))
        self.total = np.random.normal()  # noqa: NPY002
        return self.observation(), {}

    def step(self, action):
        self.steps += 1
        self.total += np.random.normal() + self.np_random.random()  # noqa: NPY002
        reward = self.total * float(action[0]) + self.built_with
        return self.observation(), reward, False, self.steps >= self.limit, {"success": self.total > 1}


class Broken(Walk):
    """Fails in the second step of the episode with the given seed."""

    def __init__(self, seed, how, render_mode=None):
        super().__init__(render_mode)
        self.failing_seed, self.how = seed, how

    def step(self, action):
        if self.seed == self.failing_seed and self.steps == 1:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "observe nan":
                return np.array([0, np.nan], np.float32), 0.0, False, False, {}
            raise ValueError("a bolt came loose")
        return super().step(action)


class Stubborn(Walk):
    """Takes a minute to close."""

    def close(self):
        time.sleep(60)


class Nested(Walk):
    """Its observations are a dictionary."""

    def observation(self):
        return {"position": np.zeros(2)}


class Witness(Walk):
    """Reports which heavy packages its process has imported."""

    def step(self, action):
        self.reported["heavy"] = len({"jax", "torch", "matplotlib", "pytest"} & set(sys.modules))
        return super().step(action)


class Picture(Walk):
    """Renders a blue picture of odd size."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, shape=(241, 301, 3), render_mode=None):
        super().__init__(render_mode)
        self.shape = shape

    def render(self):
        assert self.render_mode == "rgb_array"
        frame = np.zeros(self.shape, np.uint8)
        frame[..., 2] = 250
        return frame


class Growing(Picture):
    """Renders larger pictures as time goes by."""

    def render(self):
        return super().render().repeat(self.steps + 1, axis=0)


class Blind(Picture):
    """Has no graphics."""

    def render(self):
        raise RuntimeError("no OpenGL context")


def refuse(render_mode=None):
    """A factory that fails."""
    raise FileNotFoundError("robot.xml is missing")
