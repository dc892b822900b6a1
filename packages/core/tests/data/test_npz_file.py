"""What an npz file tells without being read through."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from offlow_core.data.npz_file import NpzFile
from offlow_core.data.validation import DatasetError

ARRAYS = {"numbers": np.arange(12, dtype=np.float32).reshape(4, 3), "ends": np.array([False, True])}


def write(path: Path, *, save=np.savez_compressed, **changes) -> Path:
    save(path, **ARRAYS | changes)
    return path


def sha256(path: Path) -> str:
    with NpzFile(path) as file:
        return file.arrays_sha256()


def test_an_outline_has_type_and_shape_and_takes_no_memory(tmp_path):
    with NpzFile(write(tmp_path / "a.npz", many=np.zeros((1000, 7), np.float64))) as file:
        for field, (shape, kind) in {"numbers": ((4, 3), "float32"), "many": ((1000, 7), "float64")}.items():
            outline = file.outline(field)
            assert (outline.shape, outline.dtype.name, outline.base.nbytes) == (shape, kind, outline.itemsize)
        with pytest.raises(DatasetError, match=r"the field `more` is missing; the file holds ends, many, numbers"):
            file.outline("more")


def test_an_outline_of_what_is_no_array(tmp_path):
    path = tmp_path / "a.npz"

    with zipfile.ZipFile(path, "w") as file:
        file.writestr("numbers.npy", b"no array at all")
    with NpzFile(path) as file, pytest.raises(DatasetError, match=r"a\.npz: the field `numbers` cannot be read"):
        file.outline("numbers")


def test_the_checksum_depends_on_the_arrays_alone(tmp_path):
    same = sha256(write(tmp_path / "a.npz"))
    assert sha256(write(tmp_path / "b.npz", save=np.savez)) == same
    np.savez(tmp_path / "c.npz", **dict(reversed(ARRAYS.items())))
    assert sha256(tmp_path / "c.npz") == same
    numbers = ARRAYS["numbers"].copy()
    numbers[3, 2] = np.nextafter(numbers[3, 2], np.float32(0))
    others = [{"numbers": numbers}, {"numbers": numbers.reshape(3, 4)}, {"more": numbers}]
    assert same not in {sha256(write(tmp_path / "d.npz", **changes)) for changes in others}
