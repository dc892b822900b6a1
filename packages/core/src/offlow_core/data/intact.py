"""Whether a file has arrived whole: checks for `download`, for files of which nobody publishes a checksum."""

import zipfile
import zlib
from pathlib import Path

from offlow_core.data.validation import DatasetError


def require_hdf5(path: Path) -> None:
    """Refuse what is no HDF5 file, or one whose end is missing (DatasetError, as half a sentence)."""
    import h5py

    _refuse_web_page(path, "an HDF5 file")
    try:
        # Without locks: the process that downloads the file holds one on it.
        with h5py.File(path, "r", locking=False) as file:
            list(file)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise DatasetError(f"it cannot be read as an HDF5 file: {error}") from error


def require_npz(path: Path) -> None:
    """Refuse what is no .npz archive, or one that disagrees with its own checksums (DatasetError, as above)."""
    _refuse_web_page(path, "an .npz archive")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DatasetError(f"it cannot be read as an .npz archive: {error}") from error
    if damaged is not None:
        raise DatasetError(f"its part {damaged} does not agree with its checksum")


def is_web_page(beginning: bytes) -> bool:
    """Whether a file that begins so is HTML: what servers send in the place of a file that they do not have."""
    return beginning.lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _refuse_web_page(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        beginning = file.read(256)
    if is_web_page(beginning):
        raise DatasetError(f"expected {expected}, but the server sent a web page, probably an error message")
