"""`offlow data list`: the datasets that there are, and which of them are on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

import tyro
from tyro.conf import arg

from offlow_core.commands.shell import run_command
from offlow_core.suites import catalogue
from offlow_core.suites.options import SuiteOptions
from offlow_core.wording import counted, size


@dataclass(frozen=True)
class Options:
    """List datasets by suite, and whether they are in the local cache.

    Tasks that share a dataset take one line; --names lists every task.
    """

    pattern: Annotated[str | None, tyro.conf.Positional, arg(metavar="[SUITE|PATTERN]")] = None
    """a suite, a part of a name, or a pattern such as 'cube-*-play-*'; all without it"""
    names: bool = False
    """print the names of all tasks and nothing else, one in a line"""
    cached: bool = False
    """only datasets that are in the local cache"""
    dataset_dir: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="(default: the suite's own)")] = None
    """folder of the datasets"""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and print the list."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Print what the options ask for."""
    suite_options = SuiteOptions(dataset_dir=options.dataset_dir)
    everything = options.pattern is None
    chosen = catalogue.listed(suite_options) if everything else catalogue.filtered(options.pattern, suite_options)
    if options.cached:
        chosen = [entry for entry in chosen if entry.is_cached]
    if options.names:
        print(*(name for entry in chosen for name in entry.names), sep="\n")
    elif not chosen:
        print("none of these datasets is in the local cache; fetch some with: offlow data download NAME")
    else:
        print("\n\n".join(_suite_lines(list(group)) for _, group in groupby(chosen, lambda entry: entry.suite)))


def _suite_lines(entries: list[catalogue.Entry]) -> str:
    cached = [entry for entry in entries if entry.is_cached]
    stored = f", {size(catalogue.total_bytes(cached))}" if cached else ""
    title = f"{entries[0].suite}: {counted(len(entries), 'dataset')}, {len(cached):,} cached{stored}"
    width = max(len(entry.names[0]) for entry in entries)
    return "\n".join([title, *(f"  {entry.names[0]:<{width}}  {_tasks(entry)}  {_state(entry)}" for entry in entries)])


def _tasks(entry: catalogue.Entry) -> str:
    return f"{counted(len(entry.names), 'task'):<7}"


def _state(entry: catalogue.Entry) -> str:
    if entry.is_cached:
        return f"cached {size(entry.present_bytes)}"
    if entry.present:
        return f"{len(entry.present)} of {counted(len(entry.files), 'file')} cached"
    return "-"
