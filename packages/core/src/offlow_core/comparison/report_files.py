"""A report as a folder of files: the page, Markdown, LaTeX, CSV and pictures."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from offlow_core.comparison import figures, page
from offlow_core.comparison.latex import LATEX_PACKAGES, latex
from offlow_core.comparison.report import Report
from offlow_core.comparison.table import Table
from offlow_core.comparison.table_text import csv_text, markdown
from offlow_core.errors import UserError
from offlow_core.files import atomic_file

FLUSHED = 10
"""Tables after which LaTeX is told to set those that it holds back, as it cannot hold back many."""


class ReportError(UserError, OSError):
    """A folder that cannot be written to."""


def write_report(report: Report, folder: Path) -> Path:
    """Write the page, the same as Markdown, LaTeX and CSV, and the figures; the page's path.

    Tables and figures of an earlier report in the folder are removed. A ReportError says why it cannot be written.
    """
    try:
        for name, suffix in (("tables", "*.csv"), ("figures", "*.png")):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for earlier in (folder / name).glob(suffix):
                earlier.unlink()
        return _write_files(report, folder)
    except OSError as error:
        raise ReportError(f"the report cannot be written to {folder}: {error}") from error


def _write_files(report: Report, folder: Path) -> Path:
    everything = _with_own_names(report.main_tables + report.detail_tables)
    pictures = figures.draw(report, folder / "figures")
    _write(folder / "report.md", _as_markdown(report, everything, [path.relative_to(folder) for path in pictures]))
    _write(folder / "report.tex", _as_latex(report, everything))
    for table in everything:
        _write(folder / "tables" / f"{table.name}.csv", csv_text(table))
    _write(folder / "report.html", page.render(report))
    return folder / "report.html"


def _with_own_names(found: Sequence[Table]) -> list[Table]:
    """Tables whose names differ only in what no file's name should have get numbers, up to the first that is free."""
    taken: set[str] = set()
    named = []
    for table in found:
        names = itertools.chain([table.name], (f"{table.name}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        named.append(replace(table, name=name))
    return named


def _as_latex(report: Report, everything: Sequence[Table]) -> str:
    """The tables but those of single runs, which are no matter for a paper."""
    head = ["% Tables for a document of one column with this in its preamble:\n"]
    head += [f"% {line}\n" for line in LATEX_PACKAGES]
    head += [f"% Compared although these differ: {text}\n" for text in report.differences]
    shown = [table for table in everything if table.name not in ("left-out", "run-scores", "runs")]
    texts = []
    for i, table in enumerate(shown):
        if i % FLUSHED == FLUSHED - 1 or not table.axis:  # floats would stand between the pages of a table of text
            texts.append("\\clearpage\n")
        texts.append(latex(table))
    return "".join(head) + "\n" + "\n".join(texts)


def _as_markdown(report: Report, everything: Sequence[Table], pictures: Sequence[Path]) -> str:
    lines = [f"# {report.title}", ""]
    if report.differences:
        lines += ["Compared although these differ:", "", *(f"- {text}" for text in report.differences), ""]
    lines += [line for path in pictures for line in (f"![{path.stem}]({path})", "")]
    return "\n".join([*lines, *(markdown(table) for table in everything)])


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write(text.encode())
