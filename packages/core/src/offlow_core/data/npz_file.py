"""Arrays out of an npz file one at a time, with an error that says what is wrong with the file."""

import struct
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from tqdm import tqdm

from offlow_core.data.validation import DatasetError

_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError)


class NpzFile:
    """An open npz file. Each array is read once, checked against its checksum, and never unpickled.

    Reading that takes more than two seconds shows a progress bar on a terminal.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise DatasetError(f"{path}: there is no such file.")
        self._open = ExitStack()
        file = self._open.enter_context(path.open("rb"))
        shown = {"desc": f"reading {path.name}", "delay": 2, "leave": False, "disable": None}
        try:
            file = self._open.enter_context(tqdm.wrapattr(file, "read", total=path.stat().st_size, **shown))
            self._zip = self._open.enter_context(zipfile.ZipFile(file))
        except _DAMAGES as error:
            self._open.close()
            raise _damaged(path, "the archive", error) from error
        self.fields = {name.removesuffix(".npy") for name in self._zip.namelist()}

    def __enter__(self) -> "NpzFile":
        return self

    def __exit__(self, *exception) -> None:
        self._open.close()

    def read(self, field: str) -> np.ndarray:
        """The array `field`; DatasetError where it is missing or damaged."""
        if field not in self.fields:
            have = ", ".join(sorted(self.fields)) or "nothing"
            raise DatasetError(f"{self.path}: the field `{field}` is missing; the file holds {have}.")
        try:
            with self._zip.open(f"{field}.npy") as member:
                values = np.lib.format.read_array(member, allow_pickle=False)
                # The checksum is compared when the end is reached, which the array alone does not do.
                if member.read(1):
                    raise zipfile.BadZipFile("there are bytes after the array")
        except _DAMAGES as error:
            raise _damaged(self.path, f"the field `{field}`", error) from error
        return values


def _damaged(path: Path, part: str, error: Exception) -> DatasetError:
    return DatasetError(
        f"{path}: {part} cannot be read ({error}). The file is damaged, cut off, or no npz file: "
        "delete it and download, copy or collect it again."
    )
