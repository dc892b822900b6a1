"""A table, and how it is written: Markdown, CSV and LaTeX."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_SPECIAL = re.compile(r"[\\{}$&#^_~%]")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True)
class Cell:
    """A number with its spread or interval, as text; `is_best` sets it off."""

    text: str
    is_best: bool = False
    values: Mapping[str, float | int] = field(default_factory=dict)
    """The numbers in the text, by what they are, unrounded."""
    plain: str = ""
    """What a row is called where numbers are read by programs; as its text, if empty."""


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header; the first column names the row.

    A table of numbers has an `axis`, which is what its other columns are. As CSV it has a line per number of its cells,
    so that no number is rounded or joined with others.
    """

    name: str
    """Name of its file, without suffix."""
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """What the cells are."""
    axis: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    """What all cells share, by what it is: their suite, task or rule; columns of the CSV, as its name may not tell."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{self.name}: expected {len(self.header)} cells, got {len(row)}")


def cells(*values: str | Cell) -> tuple[Cell, ...]:
    """A row."""
    return tuple(value if isinstance(value, Cell) else Cell(value) for value in values)


def markdown(table: Table) -> str:
    """A GitHub table under a heading; the best are bold."""
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    lines = [f"### {table.title}", ""]
    lines += [_markdown_row(map(_escaped, table.header)), _markdown_row(["---"] * len(table.header))]
    lines += [_markdown_row(row) for row in rows]
    return "\n".join([*lines, "", *([table.note, ""] if table.note else [])])


def csv_text(table: Table) -> str:
    """Comma-separated values; cells are quoted where they need it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if table.axis:
        writer.writerows(_in_lines(table))
    else:
        writer.writerow(table.header)
        writer.writerows([cell.text for cell in row] for row in table.rows)
    return file.getvalue()


def _in_lines(table: Table) -> Iterator[list[str]]:
    """The header, and each cell with its numbers; cells without are left out."""
    numbers = list(dict.fromkeys(name for row in table.rows for cell in row for name in cell.values))
    yield [table.header[0], table.axis, *table.context, *numbers]
    for first, *rest in table.rows:
        for column, cell in zip(table.header[1:], rest, strict=True):
            if cell.values:
                values = [str(cell.values.get(name, "")) for name in numbers]
                yield [first.plain or first.text, column, *table.context.values(), *values]


def latex(table: Table) -> str:
    """A booktabs table with caption and label; the best are bold. A table without rows is a comment."""
    if not table.rows:
        return f"% {table.title}: {table.note}\n"
    rows = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}[t]",
            rf"\caption{{{_latex_text(table.title)}. {_latex_text(table.note)}}}",
            rf"\label{{tab:{table.name}}}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
            r"\toprule",
            " & ".join(map(_latex_text, table.header)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _markdown_row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f"**{text}**" if cell.is_best else text


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


def _latex_cell(cell: Cell) -> str:
    text = _latex_text(cell.text)
    return rf"\textbf{{{text}}}" if cell.is_best else text


def _latex_text(text: str) -> str:
    safe = _SPECIAL.sub(lambda match: _LATEX.get(match[0], "\\" + match[0]), text)
    return safe.replace("±", r"$\pm$").replace("—", "---")


FORMATS: Mapping[str, Callable[[Table], str]] = {"markdown": markdown, "csv": csv_text, "latex": latex}
