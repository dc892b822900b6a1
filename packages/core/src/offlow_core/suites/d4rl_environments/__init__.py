"""Environments of the D4RL benchmark (Fu et al., 2020) on current simulators, without its package or mujoco-py.

They have D4RL's observations, actions, rewards, ends of episodes and time limits, so that its datasets and published
scores apply.
"""

from importlib.metadata import version as installed_version

import gymnasium

from offlow_core.rendering import choose_gl_backend, require_rendering
from offlow_core.suites import mujoco_repairs
from offlow_core.suites.d4rl_environments.families import Family, find_family
from offlow_core.suites.simulation import simulation_of
from offlow_core.suites.wrappers import Float32Observations

__all__ = ["make_environment", "semantics"]

_PACKAGES = ("mujoco", "gymnasium", "gymnasium-robotics")


def make_environment(
    family: str, version: int, *, legacy_contact_margin: bool, goal_seed: int = 0, render_mode: str | None = None
) -> gymnasium.Env:
    """A new environment of a family, such as "hopper" or "antmaze-medium"; FamilyError where there is none.

    Observations are float32; all that follows `reset(seed=...)` is reproducible bit for bit; `info["success"]` is 0.0
    or 1.0 after every step, except in locomotion. `version` is that of the task name, and antmaze alone depends on it:
    up to 1 its goal is drawn once, from `goal_seed`, and kept; from 2 on it is drawn anew at every reset.
    `legacy_contact_margin` restores the contacts of older MuJoCo versions where the model has margins.
    `render_mode="rgb_array"` checks first that OpenGL works; RenderingError if not.
    """
    found = find_family(family)
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
    if render_mode is not None:
        require_rendering()
    choose_gl_backend()
    env = _build(found, version, goal_seed, render_mode)
    if _margins_repaired(found, legacy_contact_margin):
        mujoco_repairs.restore_contact_margin(simulation_of(env).model)
        mujoco_repairs.announce_margins(f"D4RL {family}")
    return Float32Observations(gymnasium.wrappers.TimeLimit(env, found.episode_steps))


def semantics(family: str, version: int, legacy_contact_margin: bool, goal_seed: int = 0) -> dict:
    """Choices and library versions in force that can change a result, for the manifest of a run."""
    found = find_family(family)
    choose_gl_backend()
    return {
        "environment": family,
        "legacy_contact_margin": _margins_repaired(found, legacy_contact_margin),
        "unit_quaternions_at_reset": found.has_noisy_quaternion,
        "experimental": found.kind == "kitchen",
        **_particulars(found, version, goal_seed),
        "versions": {package: installed_version(package) for package in _PACKAGES},
    }


def _build(family: Family, version: int, goal_seed: int, render_mode: str | None) -> gymnasium.Env:
    """Without time limit; simulators are imported here and not before."""
    match family.kind:
        case "locomotion":
            from offlow_core.suites.d4rl_environments import locomotion

            return locomotion.make(family.name, render_mode)
        case "antmaze":
            from offlow_core.suites.d4rl_environments.antmaze import AntMaze

            return AntMaze(family.name, _goal_is_redrawn(version), goal_seed, render_mode)
        case "adroit":
            from offlow_core.suites.d4rl_environments import adroit

            return adroit.make(family.name, render_mode)
        case "kitchen":
            from offlow_core.suites.d4rl_environments.kitchen import Kitchen

            return Kitchen(family.name, render_mode)


def _particulars(family: Family, version: int, goal_seed: int) -> dict:
    """What one kind of environment has to say."""
    match family.kind:
        case "antmaze":
            redrawn = {"goal": "drawn anew at every reset"}
            kept = {"goal": "drawn once and kept", "goal_seed": goal_seed}
            goal = redrawn if _goal_is_redrawn(version) else kept
            return {"success": "within 0.5 of the goal, which ends the episode", **goal}
        case "adroit":
            from offlow_core.suites.d4rl_environments import adroit

            return adroit.semantics(family.name)
        case "kitchen":
            return {"success": "all four elements have been in place, which ends the episode"}
    return {}


def _goal_is_redrawn(version: int) -> bool:
    return version >= 2


def _margins_repaired(family: Family, legacy_contact_margin: bool) -> bool:
    """The model has margins, nobody turned the repair off, and this MuJoCo needs it."""
    return family.has_margins and legacy_contact_margin and mujoco_repairs.margins_add_up()
