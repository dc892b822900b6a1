"""What a task name means: name -> dataset, environment and score rule. Nobody else looks into a task name."""

import difflib
import re

from offlow_core.errors import UserError
from offlow_core.suites import ogbench
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.task import EnvironmentFactory, Task

__all__ = ["EnvironmentFactory", "SuiteOptions", "Task", "TaskNameError", "canonical_name", "resolve", "task_names"]

_D4RL_NAME = re.compile(
    r"(halfcheetah|hopper|walker2d|ant)-(random|medium|expert|medium-replay|full-replay|medium-expert)-v\d"
    r"|antmaze-(umaze|medium|large)(-play|-diverse)?-v\d"
    r"|(pen|door|hammer|relocate)-(human|cloned|expert)-v\d"
    r"|kitchen-(complete|partial|mixed)-v\d"
)


SUITES = (ogbench,)
"""Each has parse(name) -> parts with a `canonical` name, or None; task(parts, options); all_names()."""


class TaskNameError(UserError, ValueError):
    """A name that no suite knows."""


def resolve(name: str, options: SuiteOptions = SuiteOptions()) -> Task:  # noqa: B008 (immutable)
    """The task of this name; TaskNameError with the nearest names where there is none.

    Cheap: imports no simulator and touches no file before the task's callables are used.
    """
    for suite in SUITES:
        parsed = suite.parse(name)
        if parsed is not None:
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
    if "/" in name:
        return f"{name!r} is a Minari dataset, but this version has no Minari suite; use an OGBench single-task name."
    if _D4RL_NAME.fullmatch(name):
        return (
            f"{name!r} is a D4RL task, but this version has no D4RL suite: only its configuration resolves "
            "(--print_config). Use an OGBench single-task name, such as cube-single-play-singletask-v0."
        )
    near = difflib.get_close_matches(name, task_names(), n=5, cutoff=0.6)
    if not near:
        return f"unknown task {name!r}; expected an OGBench single-task name such as cube-single-play-singletask-v0."
    return f"unknown task {name!r}; the nearest names are: {', '.join(near)}."
