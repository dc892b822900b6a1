"""The OGBench suite: single-task problems of the `ogbench` package."""

import functools
from importlib.metadata import version

from offlow_core.suites.ogbench_dataset import fetch, files, load_dataset
from offlow_core.suites.ogbench_environment import OGBenchEnvironment, contact_margin_repaired
from offlow_core.suites.ogbench_names import OGBenchName, all_names, parse
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.task import Task

__all__ = ["all_names", "parse", "task"]


def task(name: OGBenchName, options: SuiteOptions) -> Task:
    """The task of a parsed name."""
    return Task(
        name=name.given,
        canonical_name=name.canonical,
        suite="ogbench",
        episode_steps=name.family.episode_steps,
        make_environment=OGBenchEnvironment(name, options),
        load_dataset=functools.partial(load_dataset, name, options),
        semantics=functools.partial(_semantics, name, options),
        files=functools.partial(files, name, options),
        fetch=functools.partial(fetch, name, options),
    )


def _semantics(name: OGBenchName, options: SuiteOptions) -> dict:
    return {
        "suite": "ogbench",
        "environment": name.environment,
        "dataset": name.dataset,
        "success_timing": options.success_timing,
        "success": "at the last step of the episode",
        "dataset_rewards": "relabelled for the task on the state before the action",
        "legacy_contact_margin": contact_margin_repaired(name, options),
        "unit_quaternions_at_reset": name.family.has_ant,
        "frame_stack": options.frame_stack,
        "versions": {package: version(package) for package in ("ogbench", "mujoco", "gymnasium")},
    }
