"""`offlow data download`: fetch datasets before they are needed, without loading them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from tyro.conf import arg

from offlow_core.commands.shell import run_command
from offlow_core.errors import UserError
from offlow_core.suites import catalogue
from offlow_core.suites.options import SuiteOptions
from offlow_core.wording import counted, size


@dataclass(frozen=True)
class Options:
    """Download datasets into the local cache, each once, however many of the tasks share it.

    What is there already is skipped. Can be stopped at any time: the same command continues.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional, arg(metavar="NAME|SUITE|PATTERN ...")]
    """tasks, whole suites, or patterns such as 'cube-*-play-*' (in quotes); `offlow data list` shows them"""
    dataset_dir: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="(default: the suite's own)")] = None
    """folder to download to"""


class DownloadsFailedError(UserError):
    """Some datasets could not be fetched."""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and download; status 1 if something failed, 130 after Ctrl-C."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Download everything, go on after failures, and name them at the end."""
    if not options.names:
        raise UserError("name a task, a suite or a pattern; `offlow data list` shows them")
    suite_options = SuiteOptions(dataset_dir=options.dataset_dir)
    # Names are looked up before the first byte is fetched, so that a slip of the pen shows at once.
    names = [
        name for word in options.names for entry in catalogue.matching(word, suite_options) for name in entry.names
    ]
    chosen = catalogue.entries(names, suite_options)
    outcomes = {"fetched": [], "already there": [], "failed": []}
    failures = []
    try:
        for number, entry in enumerate(chosen, start=1):
            try:
                outcome = _fetch(entry)
            except UserError as error:
                outcome = "failed"
                failures.append(f"{entry.names[0]}: {error}")
            outcomes[outcome].append(entry)
            print(f"[{number}/{len(chosen)}] {entry.names[0]}: {outcome}{_where(entry)}", flush=True)
    except KeyboardInterrupt:
        print("stopped; what was received is kept, the same command continues", file=sys.stderr)
        sys.exit(130)
    print(_summary(outcomes))
    if failures:
        raise DownloadsFailedError("\n\n".join([f"{counted(len(failures), 'dataset')} could not be had:", *failures]))


def _fetch(entry: catalogue.Entry) -> str:
    if entry.is_cached:
        return "already there"
    if entry.task.fetch is None:
        raise UserError("there is nothing to download for this task; give own data with --dataset_path")
    entry.task.fetch()
    return "fetched"


def _where(entry: catalogue.Entry) -> str:
    if not entry.is_cached:
        return ""
    return f" ({size(entry.present_bytes)} in {entry.files[0].parent})"


def _summary(outcomes: dict[str, list[catalogue.Entry]]) -> str:
    parts = [
        f"{len(entries):,} {outcome}{f' ({size(catalogue.total_bytes(entries))})' if outcome != 'failed' else ''}"
        for outcome, entries in outcomes.items()
        if entries
    ]
    return f"{counted(sum(map(len, outcomes.values())), 'dataset')}: {', '.join(parts)}"
