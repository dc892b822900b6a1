"""Environments of robosuite, as robomimic's demonstrations were recorded in them."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from offlow_core.numpy_stream import as_global_generator
from offlow_core.rendering import require_rendering
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.robomimic_arguments import environment_arguments
from offlow_core.suites.robomimic_dataset import files
from offlow_core.suites.robomimic_names import RobomimicName
from offlow_core.suites.robomimic_repairs import import_robosuite
from offlow_core.suites.wrappers import FrameStack, OwnNumpyStream

_CAMERA = "agentview"
_PIXELS = 256


@dataclass(frozen=True)
class RobomimicEnvironment:
    """Factory of one task's environments, made as the dataset's file says if it is there.

    They return float32 states (stacked where `frame_stack` says so), are reproducible from `reset(seed=...)` on, end
    when the task is solved, and report `info["success"]`.
    """

    name: RobomimicName
    options: SuiteOptions

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """A new environment, with a time limit; `render_mode` is None or "rgb_array"."""
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
        if render_mode is not None:
            require_rendering()
        _, arguments = self.arguments()
        env = OwnNumpyStream(RobosuiteTask(self.name, arguments, render_mode))
        env = gymnasium.wrappers.TimeLimit(env, self.name.family.episode_steps)
        return env if self.options.frame_stack is None else FrameStack(env, self.options.frame_stack)

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Where robosuite's arguments come from, and the arguments."""
        return environment_arguments(self.name, self._file())

    def _file(self) -> Path:
        return files(self.name, self.options)["train"]


class RobosuiteTask(gymnasium.Env):
    """A task of robosuite; reward 1 and the end when it is solved, else 0.

    It draws from numpy's global generator.
    """

    def __init__(self, name: RobomimicName, arguments: Mapping[str, Any], render_mode: str | None = None):
        robosuite = import_robosuite(name.canonical)
        self.render_mode = render_mode
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(arguments.get("control_freq", 20))}
        self._parts = tuple("object-state" if part == "object" else part for part in name.family.parts)
        with as_global_generator(np.random.MT19937(0)):  # making one draws a scene, which the first reset replaces
            self._env = robosuite.make(
                name.family.environment,
                **copy.deepcopy(dict(arguments)),  # robosuite writes into them
                has_renderer=False,
                has_offscreen_renderer=False,
                use_camera_obs=False,
                use_object_obs=True,
                reward_shaping=False,
                ignore_done=True,
            )
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (name.family.observation_width,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (name.family.action_width,), np.float32)
        self._renderer = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self._close_renderer()  # robosuite makes a new model for each episode
        return self._state(self._env.reset()), {"success": False}

    def step(self, action):
        observation, reward, _, _ = self._env.step(np.asarray(action, np.float64))
        success = bool(self._env._check_success())
        return self._state(observation), float(reward), success, False, {"success": success}

    def render(self) -> np.ndarray | None:
        if self.render_mode is None:
            return None
        import mujoco

        model, data = self._env.sim.model._model, self._env.sim.data._data
        if self._renderer is None:
            self._renderer = mujoco.Renderer(model, _PIXELS, _PIXELS)
        shown = mujoco.MjvOption()
        shown.geomgroup[0] = 0  # simplified bodies for collisions, which hide the others
        self._renderer.update_scene(data, _CAMERA, shown)
        return self._renderer.render()

    def close(self) -> None:
        self._close_renderer()
        self._env.close()

    def _close_renderer(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _state(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([observation[part] for part in self._parts]).astype(np.float32)
