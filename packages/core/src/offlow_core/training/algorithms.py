"""Which installed package a run belongs to, found without importing any other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import numpy as np

from offlow_core.errors import UserError
from offlow_core.training.option_json import from_json
from offlow_core.training.options import RunOptions
from offlow_core.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from offlow_core.evaluation import Policy  # takes the simulators' time to import

GROUP = "offlow.algorithms"
"""The group of entry points; each is named as its package's command and is an `Algorithm`."""

LoadPolicy = Callable[[RunOptions, tuple[int, ...], int, Mapping[str, np.ndarray], str], "Policy"]
"""(options, observation shape, action dim, checkpoint arrays, name of the policy) -> policy"""


class UnknownAlgorithmError(UserError, ValueError):
    """A run of an agent that no installed package has."""


@dataclass(frozen=True)
class Algorithm:
    """What it takes to use the runs of a package."""

    program: str
    variants: Mapping[str, type[RunOptions]]
    """Option records by the agent's name."""
    load_policy: LoadPolicy


def algorithm_of(run: RunDirectory) -> Algorithm:
    """The package whose command made the run; UnknownAlgorithmError where it is not installed here."""
    settings = run.config.get("agent")
    agent = settings.get("agent_name") if isinstance(settings, dict) else None
    programs = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        found = entry.load()
        if agent in found.variants:
            return found
        programs.append(entry.name)
    raise UnknownAlgorithmError(
        f"{run.path}: no package that is installed here has the agent {agent!r} ({', '.join(programs) or 'none is'}). "
        "Run this in the environment of its package: uv run --package offlow-NAME offlow ..."
    )


def options_of_run(run: RunDirectory, algorithm: Algorithm) -> RunOptions:
    """The options that the run was made with."""
    return from_json(algorithm.variants, run.config)
