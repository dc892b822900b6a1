"""HalfCheetah, Hopper, Walker2d and Ant as D4RL has them (`-v2`): gymnasium's version 4.

Version 5 differs: another foot friction in Walker2d, no +1 on the last step of Hopper and Walker2d, other observations
in Ant. The classes are taken directly, because gymnasium's registry warns of their age.
"""

from importlib import import_module

import gymnasium
import numpy as np

from offlow_core.suites.mujoco_remarks import settotalmass_remark_hidden
from offlow_core.suites.mujoco_repairs import UnitQuaternionsAtReset
from offlow_core.suites.spaces import box

_CLASSES = {
    "halfcheetah": ("half_cheetah_v4", "HalfCheetahEnv"),
    "hopper": ("hopper_v4", "HopperEnv"),
    "walker2d": ("walker2d_v4", "Walker2dEnv"),
    "ant": ("ant_v4", "AntEnv"),
}
_CONTACT_FORCES = 84


def make(name: str, render_mode: str | None) -> gymnasium.Env:
    """One of the four environments, without a time limit."""
    module, class_name = _CLASSES[name]
    with settotalmass_remark_hidden():
        env = getattr(import_module(f"gymnasium.envs.mujoco.{module}"), class_name)(render_mode=render_mode)
    if name != "ant":
        return env
    return NoContactForces(UnitQuaternionsAtReset(env, env._get_obs))


class NoContactForces(gymnasium.ObservationWrapper):
    """Appends the contact forces that D4RL's ant observes: zeros, because the MuJoCo of that time left them out.

    See https://github.com/Farama-Foundation/D4RL/issues/143; the reward has no contact cost for the same reason.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        (width,) = box(env.observation_space).shape
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (width + _CONTACT_FORCES,), np.float64)

    def observation(self, observation):
        return np.concatenate([observation, np.zeros(_CONTACT_FORCES)])
