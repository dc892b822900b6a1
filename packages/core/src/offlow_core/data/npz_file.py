"""Npz files: written as they are, read one array at a time, with an error that says what is wrong with the file."""

import hashlib
import struct
import threading
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
from tqdm import tqdm

from offlow_core.data.validation import DatasetError

_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError)


class NpzFile:
    """An open npz file. Each array is read once, checked against its checksum, and never unpickled.

    Reading that takes more than two seconds shows a progress bar on a terminal, unless it goes on in the background.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise DatasetError(f"{path}: there is no such file.")
        self._open = ExitStack()
        file = self._open.enter_context(path.open("rb"))
        hidden = None if threading.current_thread() is threading.main_thread() else True
        shown = {"desc": f"reading {path.name}", "delay": 2, "leave": False, "disable": hidden}
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
        self._require(field)
        try:
            with self._zip.open(f"{field}.npy") as member:
                values = np.lib.format.read_array(member, allow_pickle=False)
                # The checksum is compared when the end is reached, which the array alone does not do.
                if member.read(1):
                    raise zipfile.BadZipFile("there are bytes after the array")
        except _DAMAGES as error:
            raise _damaged(self.path, f"the field `{field}`", error) from error
        return values

    def outline(self, field: str) -> np.ndarray:
        """Zeros of the type and the shape of `field`, which take no memory: only the array's header is read."""
        self._require(field)
        try:
            with self._zip.open(f"{field}.npy") as member:
                version = np.lib.format.read_magic(member)
                header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                shape, _, dtype = header[version](member)
        except (*_DAMAGES, KeyError) as error:
            raise _damaged(self.path, f"the field `{field}`", error) from error
        return np.broadcast_to(np.zeros((), dtype), shape)

    def arrays_sha256(self) -> str:
        """SHA-256 (hexadecimal) over names, sizes and CRC-32 of all arrays, as the archive's directory states them.

        It tells two files apart without reading them through. That the arrays agree with their CRC-32 is what `read`
        makes sure of.
        """
        members = sorted((member.filename, member.file_size, member.CRC) for member in self._zip.infolist())
        return hashlib.sha256("\n".join(f"{name} {size} {crc:08x}" for name, size, crc in members).encode()).hexdigest()

    def _require(self, field: str) -> None:
        if field not in self.fields:
            have = ", ".join(sorted(self.fields)) or "nothing"
            raise DatasetError(f"{self.path}: the field `{field}` is missing; the file holds {have}.")


def write_npz(file: Path | IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write these arrays by their names, uncompressed."""
    np.savez(file, **arrays)  # ty: ignore[invalid-argument-type] (thinks one of them could be called `allow_pickle`)


def _damaged(path: Path, part: str, error: Exception) -> DatasetError:
    return DatasetError(
        f"{path}: {part} cannot be read ({error}). The file is damaged, cut off, or no npz file: "
        "delete it and download, copy or collect it again."
    )
