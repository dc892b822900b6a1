"""Which runs are seeds of one method: the same agent with the same options, under the same conditions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from offlow_core.comparison.comparability import NOT_RECORDED, conditions
from offlow_core.suites.options import SuiteOptions
from offlow_core.training.run_record import RunRecord

PREPARATION = MappingProxyType({"d4rl_rules": "d4rl", "minari_keeps_cut_off_ends": "minari", "frame_stack": None})
"""Options that decide how an algorithm gets the data, which no checksum of files tells, by their suite (None: all)."""
NO_PART_OF_A_METHOD = (frozenset(field.name for field in fields(SuiteOptions)) - PREPARATION.keys()) | {
    "agent.agent_name",
    "compile",
    "device",
    "env_name",
    "eval_episodes",
    "eval_interval",
    "log_interval",
    "num_seeds",
    "seed",
    "wandb_group",
}
"""Options that a comparison checks elsewhere (the task, its data, how it is evaluated) or that change no result."""


def named_methods(groups: Mapping[str | None, Sequence[RunRecord]]) -> dict[str, list[RunRecord]]:
    """Runs by the name of their method.

    `groups` are runs by a given name, beside which each of several agents keeps its own; those without (None) are
    called as their agent. Where runs of a name differ on some one task, they are told apart by the values of options,
    and if these are equal, of conditions that may be allowed to differ. So runs with different options, or under
    different conditions, are never averaged. Those of different versions are, where versions are allowed to differ.
    """
    named = [(run.agent if given is None else given, run) for given, records in groups.items() for run in records]
    agents: dict[str, set[str]] = defaultdict(set)
    stems: dict[str, list[RunRecord]] = defaultdict(list)
    for name, run in named:
        agents[name].add(run.agent)
    for name, run in named:
        stems[name if len(agents[name]) == 1 else f"{name} {run.agent}"].append(run)
    methods: dict[str, list[RunRecord]] = {}
    for stem, runs in stems.items():
        for details, equal in _apart(runs, [_options(run) for run in runs]).items():
            for more, seeds in _apart(equal, _all_conditions(equal)).items():
                words = ", ".join([*details, *more])
                methods[f"{stem} ({words})" if words else stem] = seeds
    return dict(sorted(methods.items()))


def _options(run: RunRecord) -> dict[str, str]:
    """The options that make an agent a method, as text."""
    return {
        name: _text(value)
        for name, value in run.options.items()
        if name not in NO_PART_OF_A_METHOD and PREPARATION.get(name) in (None, run.suite)
    }


def _all_conditions(runs: Sequence[RunRecord]) -> list[dict[str, str]]:
    """The conditions of each run; one that a run does not tell is not known to be equal, whatever its version."""
    found = [conditions(run) for run in runs]
    names = dict.fromkeys((name for known in found for name in known), NOT_RECORDED)
    return [names | known for known in found]


def _apart(runs: Sequence[RunRecord], settings: Sequence[Mapping[str, str]]) -> dict[tuple[str, ...], list[RunRecord]]:
    """Runs by the settings, one mapping per run, in which some of one task differ, in words."""
    varied = _varied(runs, settings)
    groups: dict[tuple[str, ...], list[RunRecord]] = defaultdict(list)
    for run, known in zip(runs, settings, strict=True):
        groups[tuple(f"{_short(name, varied)}={known.get(name, NOT_RECORDED)}" for name in varied)].append(run)
    return groups


def _varied(runs: Sequence[RunRecord], settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the settings that have several values on some one task."""
    by_task: dict[str, list[tuple[RunRecord, Mapping[str, str]]]] = defaultdict(list)
    for run, known in zip(runs, settings, strict=True):
        by_task[run.task].append((run, known))
    names = {name for known in settings for name in known}
    return sorted(name for name in names if any(_differs(name, same_task) for same_task in by_task.values()))


def _differs(name: str, runs: Sequence[tuple[RunRecord, Mapping[str, str]]]) -> bool:
    """Whether runs have several values of a setting, or some of them none; what a version did not have yet is equal."""
    values = {known[name] for _, known in runs if name in known}
    knowing, lacking = ({str(run.versions) for run, known in runs if (name in known) is has} for has in (True, False))
    return len(values) > 1 or not knowing.isdisjoint(lacking)


def _short(name: str, varied: Iterable[str]) -> str:
    """The last part of a dotted name, where no other varied option ends in it."""
    leaf = name.rpartition(".")[2]
    return leaf if sum(other.rpartition(".")[2] == leaf for other in varied) == 1 else name


def _text(value: Any) -> str:
    """Equal numbers have equal texts, and others have others."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
