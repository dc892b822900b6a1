"""`offlow report`: a comparison as a page, tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from offlow_core.commands.compared_runs import ComparedRuns, compared
from offlow_core.commands.shell import run_command
from offlow_core.comparison.report_files import write_report


@dataclass(frozen=True)
class Options(ComparedRuns):
    """Write a report of finished runs: one HTML page that works offline, Markdown, LaTeX, CSV tables and figures."""

    out: Path = Path("report")
    """Folder for the report; files of an earlier one are replaced."""
    title: str = "Comparison"
    """Heading."""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and write the report."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Write the report and say where it is."""
    page = write_report(compared(options, options.title), options.out)
    print(f"{page}\n{page.with_suffix('.md')}, report.tex, tables and figures are beside it")
