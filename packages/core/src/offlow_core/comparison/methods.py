"""Which runs are seeds of one method: the same agent with the same options."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from offlow_core.comparison.run_record import RunRecord
from offlow_core.suites.options import SuiteOptions

PREPARATION = frozenset({"d4rl_rules", "minari_keeps_cut_off_ends", "frame_stack"})
"""Options of the suites that decide how an algorithm gets the data, which no checksum of files tells."""
NO_PART_OF_A_METHOD = (frozenset(field.name for field in fields(SuiteOptions)) - PREPARATION) | {
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

    `groups` are runs by a given name; those without (None) are called as their agent, with the values of options in
    which runs of this agent on one task differ. So runs with different options are never averaged.
    """
    stems: dict[str, list[RunRecord]] = defaultdict(list)
    for given, records in groups.items():
        several = len({run.agent for run in records}) > 1
        for run in records:
            stems[run.agent if given is None else f"{given} {run.agent}" if several else given].append(run)
    methods: dict[str, list[RunRecord]] = defaultdict(list)
    for stem, runs in stems.items():
        varied = _varied_options(runs)
        agents = {run.agent for run in runs}
        for run in runs:
            details = [f"{_short(name, varied)}={_text(run.options.get(name))}" for name in varied]
            details = [run.agent, *details] if len(agents) > 1 else details
            methods[f"{stem} ({', '.join(details)})" if details else stem].append(run)
    return dict(sorted(methods.items()))


def _varied_options(runs: Sequence[RunRecord]) -> list[str]:
    """Names of the options that have several values on some one task."""
    varied: set[str] = set()
    for same_task in _by(runs, lambda run: run.task).values():
        names = {name for run in same_task for name in run.options} - NO_PART_OF_A_METHOD
        # An option that a run does not know is one that its version did not have yet.
        varied |= {
            name for name in names if len({_text(run.options[name]) for run in same_task if name in run.options}) > 1
        }
    return sorted(varied)


def _short(name: str, varied: Iterable[str]) -> str:
    """The last part of a dotted name, where no other varied option ends in it."""
    leaf = name.rpartition(".")[2]
    return leaf if sum(other.rpartition(".")[2] == leaf for other in varied) == 1 else name


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _by(runs: Iterable[RunRecord], key: Any) -> dict[Any, list[RunRecord]]:
    groups = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return groups
