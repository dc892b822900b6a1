"""The user's own data, named `own/LABEL`, with or without an environment to evaluate in."""

import functools
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from offlow_core.data.own_arrays import read_own_file
from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError, require_shape
from offlow_core.suites.dataset_files import given_files, load_files
from offlow_core.suites.fitted_environment import action_bounds
from offlow_core.suites.named_environment import NamedEnvironment, make_named
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.score import RETURN
from offlow_core.suites.spaces import box
from offlow_core.suites.task import Task

_NAME = re.compile(r"own/[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class OwnName:
    """A label for runs and tables; the data are where `dataset_path` says."""

    canonical: str


def parse(name: str) -> OwnName | None:
    """The name, or None where it is not `own/` and a label of letters, digits, dots, hyphens and underscores."""
    return OwnName(name) if _NAME.fullmatch(name) else None


def all_names() -> list[str]:
    """None can be listed: every label is a name."""
    return []


def task(name: OwnName, options: SuiteOptions) -> Task:
    """The task: data from `options.dataset_path`, evaluated in `options.environment` if there is one."""
    return Task(
        name=name.canonical,
        canonical_name=name.canonical,
        suite="own",
        episode_steps=None,
        make_environment=_environment(options),
        load_dataset=functools.partial(load_dataset, name, options),
        semantics=functools.partial(_semantics, options),
        score=RETURN,
    )


def load_dataset(name: OwnName, options: SuiteOptions) -> Dataset:
    """The file of `options.dataset_path` and the validation file beside it, if there is one.

    Raises DatasetError, also where the data do not fit the environment.
    """
    if options.dataset_path is None:
        raise DatasetError(f"{name.canonical}: name the file with your data: --dataset_path=FILE (.npz or .hdf5).")
    paths = given_files(Path(options.dataset_path).expanduser())
    dataset = load_files("dataset_path", paths, read_own_file)
    if dataset.validation is not None:
        _require_same_widths(dataset.validation, dataset.train, str(paths["validation"]))
    _require_fitting(dataset.train, options, str(paths["train"]))
    return dataset


def _environment(options: SuiteOptions) -> NamedEnvironment | None:
    if options.environment is None:
        return None
    return NamedEnvironment(options.environment, options.frame_stack, options.legacy_contact_margin)


def _require_same_widths(part: Transitions, train: Transitions, source: str) -> None:
    reason = " as the training file has it"
    require_shape(part.observations, (-1, *train.observations.shape[1:]), "observations", source, reason)
    require_shape(part.actions, (-1, train.actions.shape[1]), "actions", source, reason)


def _require_fitting(transitions: Transitions, options: SuiteOptions, source: str) -> None:
    """What does not fit would come to light at the first evaluation, and in other words."""
    if options.environment is None:
        return
    env = NamedEnvironment(options.environment, legacy_contact_margin=options.legacy_contact_margin)()
    env.close()
    reason = f" as {options.environment} has it"
    require_shape(transitions.observations, (-1, *box(env.observation_space).shape), "observations", source, reason)
    require_shape(transitions.actions, (-1, *box(env.action_space).shape), "actions", source, reason)


def _semantics(options: SuiteOptions) -> dict:
    return {
        "suite": "own",
        "environment": options.environment,
        "legacy_contact_margin": options.legacy_contact_margin,
        "environment_actions": _environment_actions(options),
        "rows_without_next_observations": "lead to the next row; cut-off rows and the last one are dropped (D4RL)",
        "actions": "clipped to +-(1 - 1e-5)",
        "frame_stack": options.frame_stack,
        "versions": {"gymnasium": version("gymnasium")},
    }


def _environment_actions(options: SuiteOptions) -> str | None:
    if options.environment is None:
        return None
    env = make_named(options.environment)
    env.close()
    bounds = action_bounds(env.action_space, options.environment)
    if bounds is None:
        return "in [-1, 1] as the environment takes them"
    return f"rescaled from [-1, 1] to the environment's bounds {[values.tolist() for values in bounds]}"
