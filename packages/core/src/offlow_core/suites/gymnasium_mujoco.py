"""Gymnasium's MuJoCo tasks under their own names, for training from scratch: environments without datasets.

Actions keep the bounds that the environment gives them, which are not [-1, 1] everywhere.
"""

import functools
import warnings
from dataclasses import dataclass
from importlib.metadata import version

import gymnasium

from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError
from offlow_core.rendering import choose_gl_backend, render_arguments
from offlow_core.suites import mujoco_repairs
from offlow_core.suites.mujoco_remarks import settotalmass_remark_hidden
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.score import RETURN
from offlow_core.suites.simulation import simulation_of
from offlow_core.suites.task import Task
from offlow_core.suites.wrappers import Float32Observations

VERSIONS = (4, 5)
_STEPS = {
    **dict.fromkeys(("Hopper", "Walker2d", "HalfCheetah", "Ant", "Humanoid", "HumanoidStandup", "Swimmer"), 1000),
    **dict.fromkeys(("InvertedPendulum", "InvertedDoublePendulum"), 1000),
    "Reacher": 50,
    "Pusher": 100,
}
_UNMAKEABLE = {"Pusher-v4"}  # needs MuJoCo 2
_WITH_MARGINS = {"Hopper", "Ant", "Humanoid", "HumanoidStandup", "Pusher"}
_WITH_NOISY_QUATERNION = {"Ant", "Humanoid", "HumanoidStandup"}


@dataclass(frozen=True)
class GymnasiumName:
    """A task with its version, which changes observations and rewards."""

    family: str
    version: int

    @property
    def canonical(self) -> str:
        return f"{self.family}-v{self.version}"


_NAMES = {
    name.canonical: name
    for name in (GymnasiumName(family, version) for family in _STEPS for version in VERSIONS)
    if name.canonical not in _UNMAKEABLE
}


@dataclass(frozen=True)
class GymnasiumEnvironment:
    """Factory of one task's environments, with gymnasium's time limit and float32 observations."""

    name: GymnasiumName
    legacy_contact_margin: bool

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """A new environment; `render_mode` is None or "rgb_array"."""
        choose_gl_backend()
        with settotalmass_remark_hidden(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is out of date.*")  # it was asked for by number
            env = gymnasium.make(self.name.canonical, disable_env_checker=True, **render_arguments(render_mode))
        if _margins_repaired(self.name, self.legacy_contact_margin):
            mujoco_repairs.restore_contact_margin(simulation_of(env).model)
            mujoco_repairs.announce_margins(self.name.canonical)
        if self.name.family in _WITH_NOISY_QUATERNION:
            env = mujoco_repairs.UnitQuaternionsAtReset(env, simulation_of(env)._get_obs)
        return Float32Observations(env)


def parse(name: str) -> GymnasiumName | None:
    """The task of this name, or None."""
    return _NAMES.get(name)


def all_names() -> list[str]:
    """Every name that `parse` accepts."""
    return list(_NAMES)


def task(name: GymnasiumName, options: SuiteOptions) -> Task:
    """The task of a parsed name; its score is the return."""
    return Task(
        name=name.canonical,
        canonical_name=name.canonical,
        suite="gymnasium",
        episode_steps=_STEPS[name.family],
        make_environment=GymnasiumEnvironment(name, options.legacy_contact_margin),
        load_dataset=functools.partial(_refuse_to_load, name),
        semantics=functools.partial(_semantics, name, options),
        score=RETURN,
        has_dataset=False,
    )


def _refuse_to_load(name: GymnasiumName) -> Dataset:
    raise DatasetError(
        f"{name.canonical} is an environment without a dataset: train in it from scratch (sacflow --agent flow_t), or "
        f"name data of your own: --env_name own/LABEL --dataset_path FILE --environment {name.canonical}."
    )


def _margins_repaired(name: GymnasiumName, legacy_contact_margin: bool) -> bool:
    return name.family in _WITH_MARGINS and legacy_contact_margin and mujoco_repairs.margins_add_up()


def _semantics(name: GymnasiumName, options: SuiteOptions) -> dict:
    return {
        "suite": "gymnasium",
        "environment": name.canonical,
        "legacy_contact_margin": _margins_repaired(name, options.legacy_contact_margin),
        "unit_quaternions_at_reset": name.family in _WITH_NOISY_QUATERNION,
        "versions": {package: version(package) for package in ("gymnasium", "mujoco")},
    }
