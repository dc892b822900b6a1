"""HDF5 files of D4RL's layout, whole and damaged in every way that a download or a copy can damage them."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from offlow_core.data import hdf5_file
from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.validation import DatasetError

N = 1000
ARRAYS = {
    "observations": np.arange(N * 3, dtype=np.float32).reshape(N, 3),
    "rewards": np.linspace(0, 1, N),
    "column": np.linspace(0, 1, N, dtype=np.float32)[:, None],
    "terminals": np.arange(N) % 7 == 0,
    "infos/qpos": np.arange(N, dtype=np.float32),
    "metadata/policy/log_std": np.float32(0.5),
    "nothing": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def path(tmp_path) -> Path:
    """All arrays compressed in chunks, as D4RL's are, but for those that cannot be."""
    path = tmp_path / "data.hdf5"
    with h5py.File(path, "w") as file:
        for name, values in ARRAYS.items():
            file.create_dataset(name, data=values, compression="gzip" if values.ndim and values.size else None)
        file["algorithm"] = "SAC"
    return path


def add(path: Path, name: str, values: object, **options) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=values, **options)


def test_every_array_is_found_under_its_full_path_and_read_as_it_is(path):
    with Hdf5File(path) as file:
        assert file.fields == {*ARRAYS, "algorithm"}
        for name, values in ARRAYS.items():
            found = file.read(name)
            np.testing.assert_array_equal(found, values)
            assert (found.dtype, found.shape, file.shape(name)) == (values.dtype, values.shape, values.shape)


@pytest.mark.parametrize("chunk", [None, 1, 7, N])
def test_arrays_that_are_read_in_several_blocks_are_whole(path, chunk, monkeypatch):
    monkeypatch.setattr(hdf5_file, "_BLOCK_BYTES", 1024)
    values = np.random.default_rng(0).random((N, 5))
    add(path, "long", values, chunks=None if chunk is None else (chunk, 2))
    with Hdf5File(path) as file:
        np.testing.assert_array_equal(file.read("long"), values)


def test_a_long_read_shows_its_progress(path, monkeypatch):
    shown = {}

    class Bar:
        def __init__(self, **options):
            shown.update(options, done=0)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, size):
            shown["done"] += size

    monkeypatch.setattr(hdf5_file, "tqdm", Bar)
    with Hdf5File(path) as file:
        file.read("observations")
    assert shown["done"] == shown["total"] == ARRAYS["observations"].nbytes
    assert (shown["delay"], shown["desc"]) == (2, "reading observations of data.hdf5")


def test_importing_needs_no_h5py():
    script = "import sys, offlow_core.data.hdf5_file; sys.exit('h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_missing_file(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.hdf5: there is no such file"):
        Hdf5File(tmp_path / "absent.hdf5")


@pytest.mark.parametrize("page", ["<!DOCTYPE html><html>403 Forbidden</html>", "\n<html>log in</html>"])
def test_a_web_page_is_recognised(tmp_path, page):
    path = tmp_path / "hopper_medium-v2.hdf5"
    path.write_text(page)
    with pytest.raises(DatasetError, match=r"hopper_medium-v2\.hdf5: expected an HDF5 file, but this is a web page"):
        Hdf5File(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DatasetError, match=r"data\.hdf5: the file cannot be read .* delete it and download"):
        Hdf5File(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "data.hdf5"
    np.savez(path.with_suffix(".npz"), observations=np.zeros(3))
    path.with_suffix(".npz").rename(path)
    with pytest.raises(DatasetError, match="no HDF5 file"):
        Hdf5File(path)


def test_damage_inside_of_an_array_is_noticed_when_that_array_is_read(path):
    with h5py.File(path) as file:
        start = file["observations"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(start)
        raw.write(b"\xff" * 64)
    with Hdf5File(path) as file:
        np.testing.assert_array_equal(file.read("terminals"), ARRAYS["terminals"])
        with pytest.raises(DatasetError, match=r"data\.hdf5: the field `observations` cannot be read"):
            file.read("observations")


def test_damage_to_the_list_of_fields_is_noticed_at_once(path):
    content = path.read_bytes()
    assert content.count(b"TREE") >= 1  # the nodes that lead from a group to its members
    path.write_bytes(content.replace(b"TREE", b"FREE"))
    with pytest.raises(DatasetError, match=r"data\.hdf5: .* cannot be read"):
        Hdf5File(path)


def test_a_missing_field_is_named_with_those_that_are_there(path):
    message = r"`actions` is missing; the file holds .*infos/qpos"
    with Hdf5File(path) as file, pytest.raises(DatasetError, match=message):
        file.read("actions")


def test_what_is_no_number_is_refused_and_never_unpickled(path):
    with h5py.File(path, "a") as file:
        file.create_dataset("objects", data=["a", "b"], dtype=h5py.string_dtype())
        file["void"] = np.void(b"pickle")
        file["complex"] = np.zeros(3, complex)
        file["empty"] = h5py.Empty("f")
    with Hdf5File(path) as file:
        for name, kind in (("objects", "object"), ("void", "V6"), ("complex", "complex128"), ("empty", "nothing")):
            with pytest.raises(DatasetError, match=rf"data\.hdf5: `{name}` must hold numbers .* got .*{kind}"):
                file.read(name)


def test_floats_become_float32_and_columns_vectors(path):
    with Hdf5File(path) as file:
        rewards = file.read_floats("rewards", (N,))
        assert (rewards.dtype, rewards.shape) == (np.float32, (N,))
        np.testing.assert_array_equal(rewards, ARRAYS["rewards"].astype(np.float32))
        np.testing.assert_array_equal(file.read_floats("column", (N,)), rewards)
        assert file.read_floats("column", (N, 1)).shape == (N, 1)
        assert file.read_floats("observations", (-1, 3)).shape == (N, 3)


@pytest.mark.parametrize(
    ("field", "shape", "message"),
    [
        ("observations", (-1, 4), r"`observations` must have shape \(any, 4\) as Hopper has it, got \(1000, 3\)"),
        ("observations", (N,), r"`observations` must have shape \(1000,\) as Hopper has it, got \(1000, 3\)"),
        ("rewards", (N + 1,), r"`rewards` must have shape \(1001,\)"),
        ("column", (N + 1,), r"`column` must have shape \(1001,\)"),
        ("terminals", (N,), "`terminals` must hold floating-point numbers, got bool"),
        ("absent", (N,), "`absent` is missing"),
    ],
)
def test_floats_of_another_shape_or_type_are_refused(path, field, shape, message):
    with Hdf5File(path) as file, pytest.raises(DatasetError, match=rf"data\.hdf5: .*{message}"):
        file.read_floats(field, shape, " as Hopper has it")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_a_number_that_is_not_finite_in_float32_is_refused_with_its_row(path, wrong):
    values = np.zeros((N, 2))
    values[123, 1] = wrong
    add(path, "wrong", values)
    with Hdf5File(path) as file, pytest.raises(DatasetError, match=r"data\.hdf5: `wrong` .* row 123 holds"):
        file.read_floats("wrong", (N, 2))


@pytest.mark.parametrize("stored", [bool, np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_flags_may_be_stored_in_several_ways(path, stored, shape):
    flags = ARRAYS["terminals"]
    add(path, "flags", flags.astype(stored).reshape(shape))
    with Hdf5File(path) as file:
        found = file.read_flags("flags", N)
    np.testing.assert_array_equal(found, flags)
    assert found.dtype == bool


@pytest.mark.parametrize("wrong", [2.0, 0.5, -1.0, np.nan])
def test_a_flag_that_is_neither_is_refused_with_its_row(path, wrong):
    flags = np.zeros(N, np.float32)
    flags[77] = wrong
    add(path, "flags", flags)
    with Hdf5File(path) as file, pytest.raises(DatasetError, match=r"`flags` must hold 0 and 1, but row 77 holds"):
        file.read_flags("flags", N)


@pytest.mark.parametrize("shape", [(N - 1,), (N + 1, 1), (N, 2), ()])
def test_flags_of_another_length_are_refused(path, shape):
    add(path, "flags", np.zeros(shape, bool))
    with Hdf5File(path) as file, pytest.raises(DatasetError, match=r"`flags` must have shape \(1000,\)"):
        file.read_flags("flags", N)
