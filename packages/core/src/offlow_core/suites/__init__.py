"""What a task name means: name -> dataset, environment and score rule. Nobody else looks into a task name."""

import difflib
from typing import Any, Protocol

from offlow_core.errors import UserError
from offlow_core.option_checks import OptionError
from offlow_core.suites import d4rl, gymnasium_mujoco, minari, ogbench, own, robomimic
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.task import EnvironmentFactory, Task

__all__ = ["EnvironmentFactory", "SuiteOptions", "Task", "TaskNameError", "canonical_name", "resolve", "task_names"]


class TaskName(Protocol):
    """A name that a suite has taken apart."""

    @property
    def canonical(self) -> str:
        """With what the name leaves open filled in."""
        ...


class Suite(Protocol):
    """A module that knows tasks."""

    def parse(self, name: str) -> TaskName | None:
        """The parts of a name, or None where it is of another suite."""
        ...

    def task(self, name: Any, options: SuiteOptions) -> Task:
        """The task of a name that it has itself taken apart."""
        ...

    def all_names(self) -> list[str]:
        """Its names, as far as they can be listed."""
        ...


SUITES: tuple[Suite, ...] = (ogbench, d4rl, robomimic, own, gymnasium_mujoco, minari)
"""The first that knows a name has it: own/LABEL may look like the id of a Minari dataset."""


class TaskNameError(UserError, ValueError):
    """A name that no suite knows."""


def resolve(name: str, options: SuiteOptions = SuiteOptions()) -> Task:  # noqa: B008 (immutable)
    """The task of this name; TaskNameError with the nearest names where there is none.

    Cheap: imports no simulator, and touches no file before the task's callables are used, but for the metadata of a
    Minari dataset, in which stands what the task is (DatasetError where they cannot be had).
    """
    for suite in SUITES:
        parsed = suite.parse(name)
        if parsed is not None:
            if options.environment is not None and suite is not own:
                raise OptionError(
                    f"environment is for data of your own (own/LABEL); {name} has its own environment: leave it out"
                )
            return suite.task(parsed, options)
    raise TaskNameError(_explain_unknown(name))


def canonical_name(name: str) -> str:
    """The name with its default task spelled out; a name that no suite knows is returned unchanged."""
    found = (suite.parse(name) for suite in SUITES)
    return next((parsed.canonical for parsed in found if parsed is not None), name)


def task_names() -> list[str]:
    """All names that `resolve` accepts, as far as they can be listed."""
    return [name for suite in SUITES for name in suite.all_names()]


def _explain_unknown(name: str) -> str:
    near = difflib.get_close_matches(name, task_names(), n=5, cutoff=0.6)
    if not near:
        return (
            f"unknown task {name!r}; expected a name such as cube-single-play-singletask-v0 (OGBench), "
            "hopper-medium-v2 (D4RL), lift-mh-low_dim (robomimic), mujoco/hopper/medium-v0 (Minari), Hopper-v5 "
            "(gymnasium, from scratch) or own/LABEL (data of your own)."
        )
    return f"unknown task {name!r}; the nearest names are: {', '.join(near)}."
