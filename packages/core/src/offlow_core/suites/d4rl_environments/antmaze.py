"""D4RL's AntMaze: an ant that has to reach the far end of a maze.

The environment of this name in gymnasium-robotics is another task: control, contacts, coordinates, observations,
starts, goals and ends all differ. Neither D4RL's datasets nor its scores apply to it.
"""

from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box

from offlow_core.suites.d4rl_environments.antmaze_model import ANT_FILE, CELL, GOAL_RADIUS, build_model, cell_centres

_WIDTH = 29
_LOOK_DOWN = {"elevation": -70.0, "azimuth": 90.0}


class AntMaze(MujocoEnv):
    """Reward 1, success and the end of the episode once the torso is within 0.5 of the goal; 0 before.

    Observations are positions (15, with x and y) and velocities (14). Falling over does not end an episode.
    From version 2 on D4RL draws the goal anew at every reset; before, a run drew its goal once, from numpy's global
    generator, and kept it. Here `goal_seed` decides it, so that all environments of a run have the same one.
    """

    metadata = {"render_modes": ["human", "rgb_array", "depth_array"], "render_fps": 10}  # noqa: RUF012 (gymnasium's)

    def __init__(self, maze: str, goal_at_every_reset: bool, goal_seed: int, render_mode: str | None = None):
        self._maze = maze
        self._goal_at_every_reset = goal_at_every_reset
        space = Box(-np.inf, np.inf, (_WIDTH,), np.float64)
        centre = cell_centres(maze, "1").mean(axis=0)
        extent = np.ptp(cell_centres(maze, "1"), axis=0).max() + CELL
        camera: dict[str, Any] = _LOOK_DOWN | {"lookat": np.array([*centre, 0.0]), "distance": 1.25 * extent}
        super().__init__(str(ANT_FILE), 5, space, render_mode=render_mode, camera_id=-1, default_camera_config=camera)
        self.goal = self._draw_goal(np.random.default_rng(goal_seed))

    @property
    def goal(self) -> np.ndarray:
        """Where the ant has to go, (x, y)."""
        return self._goal.copy()

    @goal.setter
    def goal(self, xy: np.ndarray) -> None:
        self._goal = np.array(xy, np.float64)
        self.model.site("goal").pos[:2] = self._goal

    def step(self, action):
        self.do_simulation(np.clip(action, -1.0, 1.0), self.frame_skip)
        reached = bool(np.linalg.norm(self.data.qpos[:2] - self._goal) <= GOAL_RADIUS)
        return self._observe(), float(reached), reached, False, {"success": float(reached)}

    def reset_model(self) -> np.ndarray:
        if self._goal_at_every_reset:
            self.goal = self._draw_goal(self.np_random)
        qpos = self.init_qpos + self.np_random.uniform(-0.1, 0.1, self.model.nq)
        # The MuJoCo of D4RL did this by itself; newer ones would observe a quaternion of another length.
        mujoco.mj_normalizeQuat(self.model, qpos)
        self.set_state(qpos, 0.1 * self.np_random.standard_normal(self.model.nv))
        return self._observe()

    def _draw_goal(self, generator: np.random.Generator) -> np.ndarray:
        """The goal cell's centre with D4RL's noise, which is two draws, both to one side."""
        noise = generator.uniform(0, CELL / 4, 2) + generator.uniform(0, CELL / 8, 2)
        return np.maximum(cell_centres(self._maze, "G")[0] + noise, 0)

    def _observe(self) -> np.ndarray:
        return np.concatenate([self.data.qpos, self.data.qvel])

    def _initialize_simulation(self):
        model = build_model(self._maze)
        return model, mujoco.MjData(model)
