"""`offlow data validate`: look for faults in a dataset or a file."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from offlow_core.commands.dataset_argument import DatasetOptions, Target
from offlow_core.commands.shell import run_command
from offlow_core.data.own_arrays import read_own_file
from offlow_core.data.recordings.checks import Finding, check_fields
from offlow_core.data.recordings.fields import FORMATS, read_fields
from offlow_core.data.validation import DatasetError
from offlow_core.errors import UserError
from offlow_core.wording import counted


@dataclass(frozen=True)
class Options(DatasetOptions):
    """Check a dataset: borders, successors, repeated rows, values, types and shapes, actions and rewards.

    With a task, also whether the dataset can be loaded as the task's. Status 1 if something FAILs. What is only unusual
    is a WARNing.
    """


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and print a line per finding."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Report on each file and, for a task, on loading it; exit with status 1 after a FAIL."""
    levels = []
    for finding in _findings(options.find()):
        levels.append(finding.level)
        print(f"{finding.level:<4}  {finding.text}", flush=True)
    failures, warnings = levels.count("FAIL"), levels.count("WARN")
    print(f"{counted(failures, 'failure')}, {counted(warnings, 'warning')}")
    if failures:
        sys.stdout.flush()
        sys.exit(1)


def _findings(target: Target) -> Iterator[Finding]:
    for path in target.recordings.values():
        yield from _file_findings(path, target)
    if target.task is not None:
        yield from _loading(f"as {target.task.name}", target.task.load_dataset)


def _file_findings(path: Path, target: Target) -> Iterator[Finding]:
    unreadable: list[DatasetError] = []
    try:
        fields = read_fields(path, unreadable.append, for_d4rl=target.step_limit is not None)
    except DatasetError as fault:
        yield Finding("FAIL", str(fault))
        return
    yield from (Finding("FAIL", str(fault)) for fault in unreadable)
    if not unreadable:
        yield Finding("OK", f"{path} can be read ({FORMATS[fields.format]})")
    yield from check_fields(fields, target.step_limit)
    if target.task is None and fields.format == "own":
        yield from _loading("as own data", lambda: read_own_file(path))


def _loading(purpose: str, load) -> Iterator[Finding]:
    try:
        load()
    except UserError as fault:
        yield Finding("FAIL", f"cannot be loaded {purpose}: {fault}")
    else:
        yield Finding("OK", f"can be loaded {purpose}")
