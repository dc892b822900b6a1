"""A table in LaTeX."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from offlow_core.comparison.table import Cell, Table

LATEX_PACKAGES = (r"\usepackage[T1]{fontenc}", r"\usepackage{array,booktabs,graphicx,longtable}")
"""What the preamble of a document needs that has tables in it."""
MOST_ROWS, MOST_LETTERS = 40, 100
"""Rows, and letters of a row, beyond which a table of numbers is split: a float is no longer than a page, and what is
shrunk much further to the width of the text cannot be read."""
_ROOMY = 16
"""Letters for which a column of text is made wide where its longest part that cannot be broken is shorter."""
_GAP = 4
"""Letters that the space between two columns takes."""
_UNBROKEN = re.compile(r"[^\s-]+-?")
_SPECIAL = re.compile(r"[\\{}$&#^_~%]")
_COMMANDS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def latex(table: Table) -> str:
    """A booktabs table with caption and label; the best are bold. A table without rows is a comment.

    One of numbers is a float, or several if it is long, shrunk to the width of the text if it is wide. One of text has
    columns that wrap, and goes on from page to page.
    """
    if not table.rows:
        return f"% {table.title}: {table.note}\n"
    if not table.axis:
        return _pages(table)
    parts = [(rows, columns) for rows in _row_blocks(table) for columns in _column_blocks(table)]
    return "\n".join(_float(table, *part, i, len(parts)) for i, part in enumerate(parts, start=1))


def _row_blocks(table: Table) -> list[Sequence[Sequence[Cell]]]:
    """The rows in as few blocks as there can be, of about equal length."""
    size = math.ceil(len(table.rows) / math.ceil(len(table.rows) / MOST_ROWS))
    return [table.rows[i : i + size] for i in range(0, len(table.rows), size)]


def _column_blocks(table: Table) -> list[list[int]]:
    """The first column with as many others at a time as there is room for, at least one."""
    named, *letters = [max(map(len, column)) for column in _columns(table)]
    blocks, used = [[0]], named
    for i, number in enumerate(letters, start=1):
        if len(blocks[-1]) > 1 and used + number > MOST_LETTERS:
            blocks.append([0])
            used = named
        blocks[-1].append(i)
        used += number
    return blocks


def _float(table: Table, rows: Sequence[Sequence[Cell]], columns: Sequence[int], part: int, parts: int) -> str:
    title = f"{table.title}, part {part} of {parts}" if parts > 1 else table.title
    label = f"{table.name}-{part}" if part > 1 else table.name
    return "\n".join(
        [
            r"\begin{table}[tbp]",
            rf"\caption{{{_text(title)}. {_text(table.note)}}}",
            rf"\label{{tab:{label}}}",
            r"\centering\small",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}l{'r' * (len(columns) - 1)}@{{}}}}",
            *_header([table.header[i] for i in columns]),
            *(_row([row[i] for i in columns]) for row in rows),
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _pages(table: Table) -> str:
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{\dimexpr {share:.3f}\linewidth-2\tabcolsep\relax}}"
        for share in _shares(table)
    )
    header = _header(table.header)
    return "\n".join(
        [
            r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}\setlength{\LTcapwidth}{\linewidth}",
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{_text(table.title)}. {_text(table.note)}}}",
            rf"\label{{tab:{table.name}}}\\",
            *header,
            r"\endfirsthead",
            *header,
            r"\endhead",
            r"\bottomrule",
            r"\endlastfoot",
            *(_row(row) + r"\addlinespace" for row in table.rows),
            r"\end{longtable}",
            r"\endgroup",
            "",
        ]
    )


def _shares(table: Table) -> list[float]:
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


def _header(names: Sequence[str]) -> list[str]:
    return [r"\toprule", " & ".join(map(_text, names)) + r" \\", r"\midrule"]


def _row(row: Iterable[Cell]) -> str:
    return " & ".join(map(_cell, row)) + r" \\"


def _cell(cell: Cell) -> str:
    text = _text(cell.brief or cell.text)
    return rf"\textbf{{{text}}}" if cell.is_best else text


def _text(text: str) -> str:
    safe = _SPECIAL.sub(lambda match: _COMMANDS.get(match[0], "\\" + match[0]), text)
    return safe.replace("--", "-{}-").replace("±", r"$\pm$").replace("—", "---")
