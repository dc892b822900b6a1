"""`offlow compare`: runs of any packages side by side, in the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from offlow_core.commands.compared_runs import ComparedRuns, compared
from offlow_core.commands.shell import run_command
from offlow_core.comparison.table_text import FORMATS


@dataclass(frozen=True)
class Options(ComparedRuns):
    """Compare finished runs: a table per suite, and statistics over its tasks with 95% intervals.

    Reads the run directories only. Runs that cannot be used are named with the reason and left out.
    """

    format: Literal["markdown", "csv", "latex"] = "markdown"
    """How the tables are written."""
    every_rule: bool = False
    """Also each task with every rule for the final score, and published numbers."""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and compare."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Print the tables."""
    report = compared(options, "Comparison")
    tables = report.main_tables + (report.detail_tables if options.every_rule else [])
    print("\n".join(FORMATS[options.format](table) for table in tables))
