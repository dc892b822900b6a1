"""A table, and how it is written: Markdown, CSV and LaTeX."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

LATEX_PACKAGES = (r"\usepackage[T1]{fontenc}", r"\usepackage{array,booktabs,graphicx,longtable}")
"""What the preamble of a document needs that has tables in it."""
LATEX_ROWS, LATEX_LETTERS = 40, 100
"""Rows, and letters of a row, beyond which a table of numbers is split: a float is no longer than a page, and what is
shrunk much further to the width of the text cannot be read."""
_ROOMY = 16
"""Letters for which a column of text is made wide where its longest part that cannot be broken is shorter."""
_GAP = 4
"""Letters that the space between two columns takes."""
_UNBROKEN = re.compile(r"[^\s-]+-?")
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
    brief: str = ""
    """What is written where there is little room; as its text, if empty."""


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header; the first column names the row.

    A table of numbers has an `axis`, which is what its other columns are. As CSV it has a line per number of its cells,
    so that no number is rounded or joined with others. A table of text is written as CSV as it is, or has `records`.
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
    records: tuple[Mapping[str, str | float | None], ...] = ()
    """Lines of the CSV by column, all of the same columns; None: nothing. If empty, they are made of the rows."""
    is_over_tasks: bool = False
    """Whether each number is of several tasks together."""

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
    if table.records:
        writer.writerow(table.records[0])
        writer.writerows(record.values() for record in table.records)
    elif table.axis:
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
    """A booktabs table with caption and label; the best are bold. A table without rows is a comment.

    One of numbers is a float, or several if it is long, shrunk to the width of the text if it is wide. One of text has
    columns that wrap, and goes on from page to page.
    """
    if not table.rows:
        return f"% {table.title}: {table.note}\n"
    if not table.axis:
        return _latex_pages(table)
    parts = [(rows, columns) for rows in _row_blocks(table) for columns in _column_blocks(table)]
    return "\n".join(_latex_float(table, *part, i, len(parts)) for i, part in enumerate(parts, start=1))


def _row_blocks(table: Table) -> list[Sequence[Sequence[Cell]]]:
    """The rows in as few blocks as there can be, of about equal length."""
    size = math.ceil(len(table.rows) / math.ceil(len(table.rows) / LATEX_ROWS))
    return [table.rows[i : i + size] for i in range(0, len(table.rows), size)]


def _column_blocks(table: Table) -> list[list[int]]:
    """The first column with as many others at a time as there is room for, at least one."""
    named, *letters = [max(map(len, column)) for column in _columns(table)]
    blocks, used = [[0]], named
    for i, number in enumerate(letters, start=1):
        if len(blocks[-1]) > 1 and used + number > LATEX_LETTERS:
            blocks.append([0])
            used = named
        blocks[-1].append(i)
        used += number
    return blocks


def _latex_float(table: Table, rows: Sequence[Sequence[Cell]], columns: Sequence[int], part: int, parts: int) -> str:
    title = f"{table.title}, part {part} of {parts}" if parts > 1 else table.title
    label = f"{table.name}-{part}" if part > 1 else table.name
    return "\n".join(
        [
            r"\begin{table}[tbp]",
            rf"\caption{{{_latex_text(title)}. {_latex_text(table.note)}}}",
            rf"\label{{tab:{label}}}",
            r"\centering\small",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}l{'r' * (len(columns) - 1)}@{{}}}}",
            *_latex_header([table.header[i] for i in columns]),
            *(_latex_row([row[i] for i in columns]) for row in rows),
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _latex_pages(table: Table) -> str:
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{\dimexpr {share:.3f}\linewidth-2\tabcolsep\relax}}"
        for share in _latex_shares(table)
    )
    header = _latex_header(table.header)
    return "\n".join(
        [
            r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}\setlength{\LTcapwidth}{\linewidth}",
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{_latex_text(table.title)}. {_latex_text(table.note)}}}",
            rf"\label{{tab:{table.name}}}\\",
            *header,
            r"\endfirsthead",
            *header,
            r"\endhead",
            r"\bottomrule",
            r"\endlastfoot",
            *(_latex_row(row) + r"\addlinespace" for row in table.rows),
            r"\end{longtable}",
            r"\endgroup",
            "",
        ]
    )


def _latex_shares(table: Table) -> list[float]:
    """Of the text's width, for each column of text: by its longest cell, but no more than it needs to be read."""
    letters = [
        max(*map(_longest_part, column), min(_ROOMY, max(map(len, column)))) + _GAP for column in _columns(table)
    ]
    return [math.floor(1000 * number / sum(letters)) / 1000 for number in letters]


def _longest_part(text: str) -> int:
    return max((len(part) for part in _UNBROKEN.findall(text)), default=1)


def _columns(table: Table) -> Iterator[tuple[str, ...]]:
    """The header and texts of each column, as they are written where there is little room."""
    rows = ([cell.brief or cell.text for cell in row] for row in table.rows)
    return zip(table.header, *rows, strict=True)


def _latex_header(names: Sequence[str]) -> list[str]:
    return [r"\toprule", " & ".join(map(_latex_text, names)) + r" \\", r"\midrule"]


def _latex_row(row: Iterable[Cell]) -> str:
    return " & ".join(map(_latex_cell, row)) + r" \\"


def _markdown_row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f"**{text}**" if cell.is_best else text


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


def _latex_cell(cell: Cell) -> str:
    text = _latex_text(cell.brief or cell.text)
    return rf"\textbf{{{text}}}" if cell.is_best else text


def _latex_text(text: str) -> str:
    safe = _SPECIAL.sub(lambda match: _LATEX.get(match[0], "\\" + match[0]), text)
    return safe.replace("--", "-{}-").replace("±", r"$\pm$").replace("—", "---")


FORMATS: Mapping[str, Callable[[Table], str]] = {"markdown": markdown, "csv": csv_text, "latex": latex}
