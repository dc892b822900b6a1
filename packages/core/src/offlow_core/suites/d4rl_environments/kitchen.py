"""D4RL's FrankaKitchen, experimental: its rules on the model files of gymnasium-robotics' FrankaKitchen-v1.

Only the files are used. The environment itself has another observation, less noise, and cannot be made with MuJoCo 4.
Neither scores nor policies have been compared with D4RL's.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box

from offlow_core.suites.d4rl_environments.model_files import ModelFile

_PARTIAL = ("microwave", "kettle", "light switch", "slide cabinet")
TASKS = {
    "kitchen-complete": _PARTIAL,
    "kitchen-partial": _PARTIAL,
    "kitchen-mixed": ("microwave", "kettle", "bottom burner", "light switch"),
}
# Places in qpos and where they should be.
ELEMENTS = {
    "bottom burner": ((11, 12), (-0.88, -0.01)),
    "light switch": ((17, 18), (-0.69, -0.05)),
    "slide cabinet": ((19,), (0.37,)),
    "microwave": ((22,), (-0.75,)),
    "kettle": ((23, 24, 25, 26, 27, 28, 29), (-0.23, 0.75, 1.62, 0.99, 0.0, 0.0, -0.06)),
}
THRESHOLD = 0.3
"""An element is in place when its coordinates are nearer to their goal than this."""
_JOINTS, _COORDINATES = 9, 30
_NOISE = 0.1
"""Share of the configured amplitudes that D4RL adds to what is observed; gymnasium-robotics: a tenth and less."""
_FULL_SPEED = 2.0
"""Joint velocity for an action of 1; no configured limit (10) is ever reached."""
_START = np.array(
    [
        *(0.148388023, -1.76848573, 1.84390296, -2.4768576, 0.260252026, 0.712533105, 1.59515394),  # arm
        *(0.0479267505, 0.0371350919),  # fingers
        *(-2.6627985e-4, -5.18043486e-5, 3.1287722e-5, -4.51199853e-5),  # knobs and burners
        *(-3.90842156e-6, -4.22629655e-5, 6.28065475e-5, 4.04984708e-5),
        *(4.62730939e-4, -2.26906415e-4),  # light switch
        -4.65501369e-4,  # slide cabinet
        *(-6.44129196e-3, -1.77048263e-3),  # hinge cabinet
        1.08009684e-3,  # microwave
        *(-0.26939744, 0.350383255, 1.61944683, 1.00618764, 4.0639512e-3, -6.62095997e-3, -2.68278933e-4),  # kettle
    ]
)
_CAMERA: dict[str, Any] = {"distance": 2.2, "azimuth": 70.0, "elevation": -35.0, "lookat": np.array([-0.2, 0.5, 2.0])}


class Kitchen(MujocoEnv):
    """A robot arm with four things to do, in any order.

    Observations: noisy positions of arm (9) and objects (21), goal (30, zero where no element is asked for). Actions:
    joint velocities (9). Reward: number of elements that came into place for the first time. The episode ends, in
    success, when all four have been.
    """

    metadata = {"render_modes": ["human", "rgb_array", "depth_array"], "render_fps": 12}  # noqa: RUF012 (gymnasium's)

    def __init__(self, name: str, render_mode: str | None = None):
        self._tasks = TASKS[name]
        self._goal = np.zeros(_COORDINATES)
        for task in self._tasks:
            places, goals = ELEMENTS[task]
            self._goal[list(places)] = goals
        assets = _assets()
        bounds, amplitudes = _read_configuration(assets / "franka_assets" / "franka_config.xml")
        self._bounds, self._amplitudes = bounds[:_JOINTS], _NOISE * amplitudes
        model_file = assets / "kitchen_assets" / "kitchen_env_model.xml"
        space = Box(-np.inf, np.inf, (2 * _COORDINATES,), np.float64)
        super().__init__(str(model_file), 40, space, render_mode=render_mode, default_camera_config=_CAMERA)
        self.action_space = Box(-1.0, 1.0, (_JOINTS,), np.float32)
        self._observed = _START
        self._missing = set(self._tasks)

    def step(self, action):
        velocity = _FULL_SPEED * np.clip(action, -1.0, 1.0)
        # D4RL steers from the noisy position that was observed last, not from the true one.
        target = np.clip(self._observed[:_JOINTS] + velocity * self.dt, *self._bounds.T)
        self.do_simulation(target, self.frame_skip)
        observation = self._observe()
        completed = {task for task in self._missing if self._in_place(task)}
        self._missing -= completed
        success = not self._missing
        return observation, float(len(completed)), success, False, {"success": float(success)}

    def reset_model(self) -> np.ndarray:
        self._missing = set(self._tasks)
        qpos = _START.copy()
        mujoco.mj_normalizeQuat(self.model, qpos)  # the kettle's
        self.set_state(qpos, np.zeros(self.model.nv))
        return self._observe()

    def _observe(self) -> np.ndarray:
        noise = self.np_random.uniform(-1.0, 1.0, _COORDINATES)
        self._observed = self.data.qpos + self._amplitudes * noise
        return np.concatenate([self._observed, self._goal])

    def _in_place(self, task: str) -> bool:
        places = list(ELEMENTS[task][0])
        return bool(np.linalg.norm(self._observed[places] - self._goal[places]) < THRESHOLD)


def _assets() -> Path:
    """The library's folder of model files, found without importing it, which would print a notice."""
    library = find_spec("gymnasium_robotics")
    if library is None or library.origin is None:
        raise ModuleNotFoundError("the kitchen's model files are those of gymnasium-robotics; install it")
    return Path(library.origin).parent / "envs" / "assets" / "kitchen_franka"


def _read_configuration(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Position bounds [30, 2] and noise amplitudes [30] of all coordinates."""
    file = ModelFile(path)
    joints = [file.part(f"qpos{i}").attrib for i in range(_COORDINATES)]
    bounds = np.array([[float(number) for number in joint["pos_bound"].split()] for joint in joints])
    return bounds, np.array([float(joint["pos_noise_amp"]) for joint in joints])
