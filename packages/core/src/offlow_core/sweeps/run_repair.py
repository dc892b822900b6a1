"""Whether a run can be gone on with, and what is done about wall-clock numbers that alone would prevent it."""

import warnings
from pathlib import Path

import numpy as np

from offlow_core.files import atomic_file
from offlow_core.sweeps.job_runs import reason_of
from offlow_core.training.checkpoints import CheckpointError, DamagedCheckpointWarning
from offlow_core.training.run_directory import TABLES, Kind, RunDirectory, RunDirectoryError
from offlow_core.training.tables import STEP, TableError

CLOCK: Kind = "timing"
"""The table on which no score depends: rows of it that cannot be read do not cost the training."""


def hurdle(path: Path, *, checkpoints: bool) -> str | None:
    """Why the run in `path` cannot be gone on with: an unreadable table, or, if asked for, no readable checkpoint.

    A run that never had a checkpoint can go on from its beginning. None if nothing is in the way.
    """
    try:
        run = RunDirectory.open(path)
        for kind in TABLES:
            _check_table(run, kind)
        if checkpoints:
            with warnings.catch_warnings(action="ignore", category=DamagedCheckpointWarning):
                run.checkpoints.latest()
    except (CheckpointError, TableError, RunDirectoryError) as error:
        return reason_of(path, str(error))
    return None


def clock_damage(path: Path) -> str | None:
    """What is wrong with the rows of a run's timing.csv; None if they can be read."""
    try:
        RunDirectory.open(path).read(CLOCK)
    except TableError as error:
        return reason_of(path, str(error))
    return None


def mend_clock(path: Path) -> None:
    """Leave only those rows in a run's timing.csv that can be read.

    They hold the seconds since the run began, so that what lies between them is lost, but no time.
    """
    lines = _readable_lines(clock_file(path))
    with atomic_file(clock_file(path)) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def clock_file(path: Path) -> Path:
    """The timing.csv of the run in `path`."""
    return path / f"{CLOCK}.csv"


def _check_table(run: RunDirectory, kind: Kind) -> None:
    try:
        run.read(kind)
    except TableError:
        if kind != CLOCK or not _readable_lines(clock_file(run.path)):
            raise


def _readable_lines(table: Path) -> list[str]:
    """The header and the rows that can be read; none without both."""
    header, *rows = table.read_bytes().decode(errors="replace").replace("\r\n", "\n").split("\n")
    names = header.split(",")
    kept = [row for row in rows[:-1] if _is_row(row, len(names))]
    return [header, *kept] if kept and names[0] == STEP else []


def _is_row(line: str, length: int) -> bool:
    step, *values = line.split(",")
    try:
        np.array([int(step)], np.int64), [float(value) for value in values if value]
    except (ValueError, OverflowError):
        return False
    return 1 + len(values) == length
