"""A table as text, in each of the formats."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping

from offlow_core.comparison.latex import latex
from offlow_core.comparison.table import Cell, Table


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


def _markdown_row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f"**{text}**" if cell.is_best else text


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")


FORMATS: Mapping[str, Callable[[Table], str]] = {"markdown": markdown, "csv": csv_text, "latex": latex}
