"""The robomimic suite: people's demonstrations with a robot's arm, and the environments of robosuite."""

import functools
from importlib.metadata import PackageNotFoundError, version

from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.robomimic_dataset import REWARD_SHIFT, fetch, files, load_dataset
from offlow_core.suites.robomimic_environment import RobomimicEnvironment
from offlow_core.suites.robomimic_names import RobomimicName, all_names, parse
from offlow_core.suites.task import Task

__all__ = ["all_names", "parse", "task"]


def task(name: RobomimicName, options: SuiteOptions) -> Task:
    """The task of a parsed name."""
    environment = RobomimicEnvironment(name, options)
    return Task(
        name=name.canonical,
        canonical_name=name.canonical,
        suite="robomimic",
        episode_steps=name.family.episode_steps,
        make_environment=environment,
        load_dataset=functools.partial(load_dataset, name, options),
        semantics=functools.partial(_semantics, name, environment),
        reward_shift=REWARD_SHIFT,
        files=functools.partial(files, name, options),
        fetch=functools.partial(fetch, name, options),
    )


def _semantics(name: RobomimicName, environment: RobomimicEnvironment) -> dict:
    arguments_from, arguments = environment.arguments()
    return {
        "suite": "robomimic",
        "dataset": name.path,
        "observations": list(name.family.parts),
        "rewards": "1 where the task is solved, else 0, minus 1 in training",
        "success": "ends the episode",
        "actions": "clipped to +-(1 - 1e-5)",
        "environment": name.family.environment,
        "environment_arguments": arguments,
        "environment_arguments_from": arguments_from,
        "frame_stack": environment.options.frame_stack,
        "versions": {package: _version(package) for package in ("robosuite", "mujoco", "gymnasium")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
