"""Arrays out of an HDF5 file one at a time, with an error that says what is wrong with the file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from offlow_core.data.intact import is_web_page
from offlow_core.data.validation import DatasetError, require_finite, require_shape

if TYPE_CHECKING:
    import h5py

_DAMAGES = (OSError, RuntimeError, KeyError, ValueError)
_BLOCK_BYTES = 1 << 25


class Hdf5File:
    """An open HDF5 file; `fields` are the full paths of all its arrays (`observations`, `infos/qpos`).

    Nothing is read before it is asked for, and nothing is unpickled. Reading an array that takes more than two seconds
    shows a progress bar on a terminal.
    """

    def __init__(self, path: Path):
        import h5py

        self.path = path
        if not path.is_file():
            raise DatasetError(f"{path}: there is no such file.")
        try:
            # Some file systems have no locks.
            self._file = h5py.File(path, "r", locking="best-effort")
        except _DAMAGES as error:
            raise self._damaged("the file", error) from error
        found = []

        def note(name: str, item: object) -> None:
            # Names only: a handle for each of tens of thousands of arrays takes many times longer.
            if isinstance(item, h5py.Dataset):
                found.append(name)

        try:
            self._file.visititems(note)
        except _DAMAGES as error:
            self._file.close()
            raise self._damaged("the list of fields", error) from error
        self.fields = frozenset(found)

    def __enter__(self) -> "Hdf5File":
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def members(self, group: str) -> list[str]:
        """The names of what lies in a group, arrays and groups; DatasetError where there is no such group."""
        import h5py

        try:
            found = self._file.get(group)
            names = list(found) if isinstance(found, h5py.Group) else None
        except _DAMAGES as error:
            raise self._damaged(f"the group `{group}`", error) from error
        if names is None:
            raise DatasetError(f"{self.path}: the group `{group}` is missing.")
        return names

    def attribute(self, item: str, name: str) -> Any:
        """An attribute of a group or an array, of whatever type; None where it has none of this name."""
        try:
            return self._file[item].attrs.get(name)
        except _DAMAGES as error:
            raise self._damaged(f"the attribute `{name}` of `{item}`", error) from error

    def shape(self, field: str) -> tuple[int, ...]:
        """The shape of an array, which is not read; DatasetError where it is missing or does not hold numbers."""
        if field not in self.fields:
            have = ", ".join(sorted(self.fields)) or "nothing"
            raise DatasetError(f"{self.path}: the field `{field}` is missing; the file holds {have}.")
        array = self._array(field)
        if array.dtype.kind not in "biuf" or array.shape is None:
            kind = "nothing" if array.shape is None else array.dtype
            raise DatasetError(f"{self.path}: `{field}` must hold numbers or truth values, got {kind}.")
        return array.shape

    def require_shape(self, field: str, expected: tuple[int, ...], reason: str = "") -> tuple[int, ...]:
        """The shape of an array, refused unless it is the expected one, before anything is read.

        -1 stands for any size; where one axis is expected, [n, 1] counts as [n]. `reason` completes "must have shape".
        """
        shape = self.shape(field)
        if len(expected) == 1 and len(shape) == 2 and shape[1] == 1:
            shape = shape[:1]
        require_shape(np.broadcast_to(np.int8(0), shape), expected, field, str(self.path), reason)
        return shape

    def read(self, field: str) -> np.ndarray:
        """An array of numbers or truth values, as it is stored; DatasetError where it is missing or damaged."""
        values = np.empty(self.shape(field), self._array(field).dtype)
        try:
            self._fill(values, field)
        except _DAMAGES as error:
            raise self._damaged(f"the field `{field}`", error) from error
        return values

    def read_floats(self, field: str, shape: tuple[int, ...], reason: str = "") -> np.ndarray:
        """An array of finite floating-point numbers as float32, of the shape that `require_shape` accepts."""
        self.require_shape(field, shape, reason)
        stored = self._array(field).dtype
        if stored.kind != "f":
            raise DatasetError(f"{self.path}: `{field}` must hold floating-point numbers, got {stored}.")
        with np.errstate(over="ignore"):  # too large for float32: becomes infinite, and is refused as such
            values = self.read(field).astype(np.float32, copy=False)
        values = values.reshape(-1) if len(shape) == 1 else values
        require_finite(values, field, str(self.path))
        return values

    def read_flags(self, field: str, rows: int, reason: str = "") -> np.ndarray:
        """A column of truth values [rows] as bool; they may be stored as numbers 0 and 1, and as [rows, 1]."""
        self.require_shape(field, (rows,), reason)
        values = self.read(field).reshape(-1)
        neither = np.flatnonzero((values != 0) & (values != 1))
        if neither.size:
            row = int(neither[0])
            raise DatasetError(f"{self.path}: `{field}` must hold 0 and 1, but row {row} holds {values[row]}.")
        return values.astype(bool, copy=False)

    def _fill(self, values: np.ndarray, field: str) -> None:
        """Read block by block, for the progress bar; blocks end where the file's chunks do, so none is read twice."""
        array = self._array(field)
        if values.ndim == 0 or values.size == 0:
            array.read_direct(values)
            return
        chunk = array.chunks[0] if array.chunks else 1
        block = max(1, _BLOCK_BYTES // (values[0].nbytes * chunk)) * chunk
        shown = {"unit": "B", "unit_scale": True, "delay": 2, "leave": False, "disable": None}
        with tqdm(total=values.nbytes, desc=f"reading {field} of {self.path.name}", **shown) as bar:
            for start in range(0, len(values), block):
                rows = np.s_[start : start + block]
                array.read_direct(values, rows, rows)
                bar.update(values[rows].nbytes)

    def _array(self, field: str) -> "h5py.Dataset":
        try:
            return self._file[field]
        except _DAMAGES as error:
            raise self._damaged(f"the field `{field}`", error) from error

    def _damaged(self, part: str, error: Exception) -> DatasetError:
        with self.path.open("rb") as file:
            beginning = file.read(256)
        if is_web_page(beginning):
            return DatasetError(
                f"{self.path}: expected an HDF5 file, but this is a web page, probably the error message of a server: "
                "open it to see which, then delete it and get the dataset again."
            )
        return DatasetError(
            f"{self.path}: {part} cannot be read ({error}). The file is damaged, cut off, or no HDF5 file: "
            "delete it and download or copy it again."
        )
