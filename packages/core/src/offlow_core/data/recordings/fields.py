"""Which format a file has, by its content, and the arrays in it under the names of that format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.intact import is_web_page
from offlow_core.data.npz_file import NpzFile
from offlow_core.data.recordings import minari_fields
from offlow_core.data.validation import DatasetError

ROWS = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
"""Names of the arrays that D4RL's files and own ones share."""
FORMATS = {
    "d4rl": "D4RL's HDF5 file",
    "ogbench": "OGBench's npz file",
    "minari": "Minari's folder with HDF5 data",
    "own": "own arrays, npz or HDF5",
}
OnFault = Callable[[DatasetError], None]


@dataclass(frozen=True, eq=False)
class Fields:
    """The arrays of a dataset as they are stored, one row per step."""

    path: Path
    format: str
    """A key of FORMATS."""
    arrays: dict[str, np.ndarray]
    left_out: tuple[str, ...] = ()
    """Names of what does not consist of numbers in one row per step."""


def raise_fault(fault: DatasetError) -> None:
    """Stop at the first array that cannot be read."""
    raise fault


def read_fields(path: Path, on_fault: OnFault = raise_fault, *, for_d4rl: bool = False) -> Fields:
    """Every array of the dataset at `path`; DatasetError where the file as a whole is of no known format.

    A single array that cannot be read goes to `on_fault` and is left out if that returns. `for_d4rl` says that the file
    is meant for a task of D4RL, whose files need not hold more than own ones do.
    """
    if path.is_dir():
        return _read_minari(minari_fields.main_file(path), path, on_fault)
    open_file = _opener(path)
    with open_file(path) as file:
        if open_file is Hdf5File and minari_fields.is_main_file(file.fields):
            return _read_minari(path, path, on_fault)
        kind = _format(path, file.fields, is_hdf5=open_file is Hdf5File, for_d4rl=for_d4rl)
        arrays, left_out = _read_arrays(file, on_fault)
    return Fields(path, kind, arrays, left_out)


def _read_minari(main_file: Path, path: Path, on_fault: OnFault) -> Fields:
    return Fields(path, "minari", *minari_fields.read_episodes(main_file, on_fault))


def _opener(path: Path) -> type[NpzFile] | type[Hdf5File]:
    """What reads this file, by its first bytes."""
    if not path.is_file():
        raise DatasetError(f"{path}: there is no such file.")
    with path.open("rb") as file:
        beginning = file.read(256)
    if beginning.startswith(b"PK"):
        return NpzFile
    if beginning.startswith(b"\x89HDF"):
        return Hdf5File
    if is_web_page(beginning):
        found = "a web page, probably the error message of a server; open it to see which"
    else:
        found = f"one that begins with {beginning[:8]!r}" if beginning else "an empty file"
    raise DatasetError(f"{path}: expected an npz or HDF5 file, got {found}. If it should be a dataset, get that again.")


def _format(path: Path, fields: frozenset[str] | set[str], is_hdf5: bool, for_d4rl: bool) -> str:
    if "rewards" not in fields and {"actions", "qpos"} <= fields:
        return "ogbench"
    if "observations" in fields or "actions" in fields:
        described = any(field.startswith(("infos/", "metadata/")) for field in fields)
        return "d4rl" if is_hdf5 and (described or for_d4rl) else "own"
    some = ", ".join(sorted(fields)[:8]) or "nothing"
    if any(field.startswith("data/demo_") for field in fields):
        some += ", as robomimic has it, which only its own suite reads"
    known = "; ".join(f"{name} ({what})" for name, what in FORMATS.items())
    raise DatasetError(f"{path}: has the layout of no known format ({known}); the file holds {some}.")


def _read_arrays(file: NpzFile | Hdf5File, on_fault: OnFault) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Arrays with as many rows as `actions`, and the names of the others."""
    arrays, left_out = {}, []
    # The arrays that training needs come first: they decide how many rows there are.
    for field in sorted(file.fields, key=lambda field: (field not in ROWS, field)):
        if field not in ROWS and not _holds_numbers(file, field):
            left_out.append(field)
            continue
        try:
            values = file.read(field)
        except DatasetError as fault:
            on_fault(fault)
            continue
        rows = next((len(found) for name, found in arrays.items() if name in ROWS and found.ndim), None)
        if field not in ROWS and (values.ndim == 0 or len(values) != rows or values.dtype.kind not in "biuf"):
            left_out.append(field)
        else:
            arrays[field] = values
    return arrays, tuple(left_out)


def _holds_numbers(file: NpzFile | Hdf5File, field: str) -> bool:
    """False for texts and the like in an HDF5 file, which are no fault; an npz file does not say before it is read."""
    try:
        return isinstance(file, NpzFile) or file.shape(field) is not None
    except DatasetError:
        return False
