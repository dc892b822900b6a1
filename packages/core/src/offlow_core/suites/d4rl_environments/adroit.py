"""The four Adroit hand tasks of D4RL: those of gymnasium-robotics (`-v1`, dense reward) with its deviations undone.

* The library rewards the distance between palm and object that D4RL punishes (door, hammer, relocate; since 1.2.1).
* D4RL's pen episodes end when the pen has been dropped.
* Success is that of an episode, as the literature counts it: enough successful steps, not a successful last one.
"""

import functools
from collections.abc import Callable
from importlib import import_module

import gymnasium
import numpy as np

from offlow_core.suites.mujoco_remarks import hide_robotics_notice
from offlow_core.suites.mujoco_repairs import RepairError
from offlow_core.suites.simulation import simulation_of
from offlow_core.suites.spaces import box

_CLASSES = {
    "pen": ("adroit_pen", "AdroitHandPenEnv"),
    "door": ("adroit_door", "AdroitHandDoorEnv"),
    "hammer": ("adroit_hammer", "AdroitHandHammerEnv"),
    "relocate": ("adroit_relocate", "AdroitHandRelocateEnv"),
}
REACH_WEIGHT = -0.1
"""Weight of the distance between palm and object in D4RL's reward."""
DROP_HEIGHT = 0.075
"""Below it D4RL takes the pen as dropped."""


def make(name: str, render_mode: str | None) -> gymnasium.Env:
    """One of the four environments, without a time limit."""
    env = _library_environment(name, render_mode)
    env = EndWhenDropped(env) if name == "pen" else ReachPenalty(env, name)
    return EpisodeSuccess(env, steps=_success_steps(name))


def semantics(name: str) -> dict:
    """What is undone, and what counts as success."""
    success = {"success": f"more than {_success_steps(name)} successful steps"}
    if name == "pen":
        return success | {"ends_when_dropped": True}
    return success | {"reach_weight": {"library": library_reach_weight(name), "in force": REACH_WEIGHT}}


class EpisodeSuccess(gymnasium.Wrapper):
    """Turns the success of steps into that of the episode so far: more than `steps` successful ones."""

    def __init__(self, env: gymnasium.Env, steps: int):
        super().__init__(env)
        self._required = steps
        self._successful = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        self._successful = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._successful += bool(info["success"])
        info = info | {"success": float(self._successful > self._required), "successful_steps": self._successful}
        return observation, float(reward), terminated, truncated, info


class EndWhenDropped(gymnasium.Wrapper):
    """Ends a pen episode when the pen has fallen; the reward contains the penalty already."""

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        dropped = bool(simulation_of(self).data.body("Object").xpos[2] < DROP_HEIGHT)
        return observation, reward, terminated or dropped, truncated, info


class ReachPenalty(gymnasium.Wrapper):
    """Gives the distance between palm and object the weight that it has in D4RL's reward."""

    def __init__(self, env: gymnasium.Env, name: str):
        super().__init__(env)
        self._distance = _reach_distance(env, name)
        self._correction = REACH_WEIGHT - library_reach_weight(name)

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward) + self._correction * self._distance(), terminated, truncated, info


@functools.cache
def library_reach_weight(name: str) -> float:
    """Weight of the distance between palm and object in the installed library's reward, found by trying.

    The palm is a marker without a body: one and the same step with the marker elsewhere differs in this distance alone.
    """
    env = _library_environment(name, None)
    distance = _reach_distance(env, name)
    rewards, distances = [], []
    for shift in (0.0, 1.0):
        env.reset(seed=0)
        simulation_of(env).model.site("S_grasp").pos[:] += shift
        rewards.append(float(env.step(np.zeros(box(env.action_space).shape))[1]))
        distances.append(distance())
    env.close()
    weight = round(float(np.diff(rewards)[0] / np.diff(distances)[0]), 6)
    if abs(weight) != abs(REACH_WEIGHT):
        raise RepairError(
            f"expected gymnasium-robotics to weigh the palm's distance in the reward of {name} by 0.1 or -0.1, but it "
            f"is {weight}: D4RL's reward cannot be restored from this one. Install gymnasium-robotics 1.4.2."
        )
    return weight


def _reach_distance(env: gymnasium.Env, name: str) -> Callable[[], float]:
    """Reads the distance between palm and handle (door) or object."""
    data = simulation_of(env).data
    palm = data.site("S_grasp").xpos
    goal = data.site("S_handle").xpos if name == "door" else data.body("Object").xpos
    return lambda: float(np.linalg.norm(palm - goal))


def _success_steps(name: str) -> int:
    return 20 if name == "pen" else 25


def _library_environment(name: str, render_mode: str | None) -> gymnasium.Env:
    hide_robotics_notice()  # what it says has changed is undone here
    module, class_name = _CLASSES[name]
    module = import_module(f"gymnasium_robotics.envs.adroit_hand.{module}")
    return getattr(module, class_name)(reward_type="dense", render_mode=render_mode)
