"""Append-only CSV tables of numbers whose columns may appear late."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offlow_core.errors import UserError
from offlow_core.files import atomic_file

STEP = "step"


class TableError(UserError, ValueError):
    """A table file that is damaged, or a row that a table cannot hold."""


def read_table(path: Path | str) -> dict[str, np.ndarray]:
    """Columns of a table: `step` as int64 [n], every other one as float64 [n] with NaN for empty cells.

    A last line without its end, as a killed writer leaves it, does not count.
    """
    path = Path(path)
    header, *lines = _whole_lines(path) or [STEP]
    names, rows = header.split(","), [line.split(",") for line in lines]
    if names[0] != STEP:
        raise TableError(f"{path}: expected a first column {STEP!r}, got {names[0]!r}; this is no table of a run")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise TableError(f"{path}, line {number}: expected {len(names)} cells, got {len(row)}; the file is damaged")
    return {
        name: _parse(path, name, [row[i] for row in rows], np.int64 if name == STEP else np.float64)
        for i, name in enumerate(names)
    }


class Table:
    """One CSV file, written by one process; the first column is `step`.

    Each append reaches the operating system before it returns, so that killing the process loses no row. Numbers
    are written so that reading gives the same float64 again; NaN and None are empty cells.
    """

    def __init__(self, path: Path):
        self.path = path
        self._columns: list[str] = []

    def append(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add one line per mapping from column name to number; a new name becomes a new last column."""
        columns = self._columns or self._recover()
        late = list(dict.fromkeys(name for row in rows for name in row if name not in columns))
        cells = [{name: _cell(name, value) for name, value in row.items()} for row in rows]
        if late or not columns:
            columns = self._widen(columns or [STEP], late)
        lines = [",".join([str(int(step)), *(row.get(name, "") for name in columns[1:])]) for row in cells]
        self._write_lines(lines)

    def truncate_after(self, step: int) -> None:
        """Drop the rows of later steps; the header stays, so that columns keep their places."""
        if self.path.exists():
            kept = read_table(self.path)[STEP] <= step
            header, *rows = _whole_lines(self.path) or [STEP]
            self._rewrite([header, *(row for row, keep in zip(rows, kept, strict=True) if keep)])

    def _recover(self) -> list[str]:
        """Header of the file as an earlier process left it, after cutting off a torn last line; empty if none."""
        if not self.path.exists():
            return []
        os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)
        lines = _whole_lines(self.path)
        self._columns = lines[0].split(",") if lines else []
        return self._columns

    def _widen(self, columns: list[str], late: list[str]) -> list[str]:
        """Give the file new last columns, which are empty in the rows that it has."""
        for name in late:
            _check_name(name)
        rows = _whole_lines(self.path)[1:] if self.path.exists() else []
        self._rewrite([",".join(columns + late), *(row + "," * len(late) for row in rows)])
        self._columns = columns + late
        return self._columns

    def _rewrite(self, lines: list[str]) -> None:
        with atomic_file(self.path) as file:
            file.write(_encode(lines))

    def _write_lines(self, lines: list[str]) -> None:
        size = self.path.stat().st_size
        try:
            with self.path.open("ab") as file:
                file.write(_encode(lines))
        except OSError:
            # A full disk takes part of a line; the next append must not continue it.
            os.truncate(self.path, size)
            raise


def _encode(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _whole_lines(path: Path) -> list[str]:
    content = path.read_bytes().replace(b"\r\n", b"\n")  # a spreadsheet's
    try:
        return content[: content.rfind(b"\n") + 1].decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: expected text, got other bytes ({error}); the file is damaged") from error


def _parse(path: Path, name: str, cells: list[str], dtype: type) -> np.ndarray:
    convert = int if dtype is np.int64 else lambda cell: float(cell) if cell else np.nan
    try:
        return np.array([convert(cell) for cell in cells], dtype)
    except (ValueError, OverflowError) as error:
        raise TableError(f"{path}, column {name!r}: {error}; the file is damaged") from error


def _check_name(name: str) -> None:
    if not name or set(name) & set(',"\r\n'):
        raise TableError(f"a column name must be free of commas, quotes and line ends, got {name!r}")


def as_number(name: str, value: Any) -> int | float | None:
    """A metric as a Python number, None if it has none; scalar arrays count as what `item` gives."""
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    if not (number is None or isinstance(number, bool | int | float)):
        raise TableError(f"{name!r}: expected one number, got {value!r}")
    return int(number) if isinstance(number, bool) else number


def _cell(name: str, value: Any) -> str:
    if name == STEP:
        raise TableError(f"the column {STEP!r} holds the step itself; give {value!r} another name")
    number = as_number(name, value)
    return "" if number is None or number != number else repr(number)
