"""The Minari suite: any dataset in the format of the package `minari`, evaluated in the environment it names."""

import functools
import math
from importlib.metadata import version
from typing import Any, TypeGuard

from offlow_core.data.minari_files import MinariFolder, leaf_paths
from offlow_core.errors import UserError
from offlow_core.suites import minari_names, own
from offlow_core.suites.d4rl import D4RLEnvironment
from offlow_core.suites.d4rl_environments import semantics as d4rl_semantics
from offlow_core.suites.d4rl_names import D4RLName
from offlow_core.suites.fitted_environment import action_bounds
from offlow_core.suites.minari_dataset import fetch, files, load_dataset, spaces, stored_metadata
from offlow_core.suites.minari_environment import StoredEnvironment, read_specification, stored_specification
from offlow_core.suites.minari_names import MinariName, parse
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.score import RETURN, ScoreRule
from offlow_core.suites.task import Task

__all__ = ["all_names", "parse", "task"]


def all_names() -> list[str]:
    """The ids that are known without a server: D4RL's hands, and the datasets in the package's folder.

    Of these only such as are tasks: not those whose metadata are damaged, nor those that are called own/LABEL.
    """
    return [name for name in minari_names.all_names() if _is_task(name)]


def task(name: MinariName, options: SuiteOptions) -> Task:
    """The task of a dataset. What it is stands in the dataset's metadata, except for those converted from D4RL.

    These metadata (a few kilobytes) are therefore read, and downloaded where the dataset is missing: DatasetError where
    that fails.
    """
    adroit = name.adroit
    rest = (
        _stored(name, stored_metadata(name, options), options) if adroit is None else _converted(name, adroit, options)
    )
    return Task(
        name=name.canonical,
        canonical_name=name.canonical,
        suite="minari",
        load_dataset=functools.partial(load_dataset, name, options),
        files=functools.partial(files, name, options),
        fetch=functools.partial(fetch, name, options),
        **rest,
    )


def score_rule(stored: MinariFolder) -> ScoreRule:
    """The return, normalised by the dataset's reference scores if it has usable ones."""
    low, high = (stored.metadata.get(f"ref_{end}_score") for end in ("min", "max"))
    if not _is_finite(low) or not _is_finite(high) or low == high:
        return RETURN
    return ScoreRule("normalised return", "return", low, high, is_share=False)


def _is_finite(number: object) -> TypeGuard[float]:
    return isinstance(number, int | float) and math.isfinite(number)


def _is_task(name: str) -> bool:
    parsed = parse(name)
    if parsed is None or own.parse(name) is not None:
        return False
    try:
        task(parsed, SuiteOptions())
    except UserError:
        return False
    return True


def _converted(name: MinariName, adroit: D4RLName, options: SuiteOptions) -> dict[str, Any]:
    """D4RL's own environment and score: the stored environment has another reward and other ends of episodes."""
    return {
        "episode_steps": adroit.family.episode_steps,
        "make_environment": D4RLEnvironment(adroit, options),
        "semantics": functools.partial(_converted_semantics, name, adroit, options),
        "score": adroit.score,
    }


def _stored(name: MinariName, stored: MinariFolder, options: SuiteOptions) -> dict[str, Any]:
    rest = {"semantics": functools.partial(_stored_semantics, name, stored, options), "score": score_rule(stored)}
    text = stored_specification(stored)
    if text is None:
        return rest | {"episode_steps": None, "make_environment": None}
    return rest | {
        "episode_steps": read_specification(text, name.canonical).max_episode_steps,
        "make_environment": _environment(name, stored, text, options),
    }


def _environment(
    name: MinariName, stored: MinariFolder, specification: str, options: SuiteOptions
) -> StoredEnvironment:
    return StoredEnvironment(
        dataset=name.canonical,
        specification=specification,
        observation_width=stored.observation_width,
        frame_stack=options.frame_stack,
        legacy_contact_margin=name.has_legacy_contacts and options.legacy_contact_margin,
    )


def _converted_semantics(name: MinariName, adroit: D4RLName, options: SuiteOptions) -> dict:
    ends = "kept" if options.minari_keeps_cut_off_ends else "left out, as D4RL does"
    return {
        "suite": "minari",
        "dataset": name.canonical,
        "rows": f"converted from D4RL; the last step of an episode that was cut off, whose successor was not recorded, "
        f"is {ends}",
        "actions": "clipped to +-(1 - 1e-5)",
        "score": adroit.score.name,
        "score_bounds": [adroit.score.low, adroit.score.high],
        "frame_stack": options.frame_stack,
        **d4rl_semantics(adroit.family.name, adroit.version, options.legacy_contact_margin),
    }


def _stored_semantics(name: MinariName, stored: MinariFolder, options: SuiteOptions) -> dict:
    observations, actions = spaces(stored)
    bounds = action_bounds(actions, name.canonical)
    text = stored_specification(stored)
    score = score_rule(stored)
    semantics = {
        "suite": "minari",
        "dataset": name.canonical,
        "rows": "every step, the last one of an episode included, whose successor is stored",
        "observations": ["/".join(path) for path in leaf_paths(observations, str(stored.path)) if path],
        "actions": "clipped to +-(1 - 1e-5)",
        "actions_rescaled_from": bounds and [values.tolist() for values in bounds],
        "score": score.name,
        "score_bounds": [score.low, score.high],
        "environment": text and read_specification(text, name.canonical).id,
        "environment_is_for": "evaluation" if stored.metadata.get("eval_env_spec") else "recording",
        "legacy_contact_margin": text is not None and _environment(name, stored, text, options).repairs_margins(),
        "frame_stack": options.frame_stack,
        "versions": {package: version(package) for package in ("gymnasium", "gymnasium-robotics", "mujoco")},
    }
    if name.is_regenerated:
        semantics["comparable_with_d4rl"] = (
            "no: recorded anew with gymnasium-robotics' ant, whose dynamics, observations, starts and goals are others"
        )
    return semantics
