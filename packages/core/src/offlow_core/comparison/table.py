"""A table of results: cells below a header."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
