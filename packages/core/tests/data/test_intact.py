import fcntl
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from offlow_core.data.intact import require_hdf5, require_npz
from offlow_core.data.validation import DatasetError


def write_hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["values"] = np.arange(1000)
    return path


def write_npz(path: Path) -> Path:
    with path.open("wb") as file:
        np.savez(file, values=np.arange(1000))
    return path


FORMATS = [(require_hdf5, write_hdf5), (require_npz, write_npz)]


@pytest.mark.parametrize(("require", "write"), FORMATS)
def test_a_whole_file_passes_also_while_it_is_locked(tmp_path, require, write):
    path = write(tmp_path / "file.part")
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        require(path)


@pytest.mark.parametrize(("require", "write"), FORMATS)
@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_file_that_is_cut_off_does_not(tmp_path, require, write, kept):
    path = write(tmp_path / "file.part")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DatasetError, match=r"^it cannot be read as an"):
        require(path)


@pytest.mark.parametrize(("require", "write"), FORMATS)
def test_a_web_page_is_called_one(tmp_path, require, write):
    path = tmp_path / "file.part"
    path.write_text("\n<!DOCTYPE html><title>log in</title>")
    with pytest.raises(DatasetError, match=r"^expected an .*, but the server sent a web page"):
        require(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_with_a_changed_byte_does_not_pass(tmp_path, compressed):
    path = tmp_path / "file.npz"
    (np.savez_compressed if compressed else np.savez)(path, values=np.arange(1000))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        middle = archive.infolist()[0].compress_size // 2
    content[middle : middle + 8] = bytes(255 - value for value in content[middle : middle + 8])
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"its part values\.npy does not agree|cannot be read as an \.npz archive"):
        require_npz(path)
