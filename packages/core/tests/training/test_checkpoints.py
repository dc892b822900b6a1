"""Checkpoints: exact round trips, damage of every kind, full disks, killed writers."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from offlow_core.training.checkpoints import CheckpointError, CheckpointFolder, DamagedCheckpointWarning

ARRAYS = {
    "params/actor/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "params/count": np.array(7, np.uint32),
    "empty": np.zeros((0, 3), np.float16),
    "flag": np.array([True, False]),
    "spalten/größe": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "name.npy": np.array([np.nan, -0.0, np.inf]),
}
META = {"phase": "critic", "rng": {"state": 2**127 + 1}, "history": [1, None, 0.1]}


def assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert (actual[name].dtype, actual[name].shape) == (array.dtype, array.shape), name
        assert actual[name].tobytes() == array.tobytes(), name


def test_round_trip_is_exact_and_writable(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    path = folder.save(500, ARRAYS, META)
    assert path == tmp_path / "checkpoints" / "000000500.npz"
    checkpoint = folder.latest()
    assert (checkpoint.step, checkpoint.meta, checkpoint.path) == (500, META, path)
    assert_same(checkpoint.arrays, ARRAYS)
    checkpoint.arrays["params/actor/kernel"][0, 0] = 5


def test_numpy_reads_the_arrays_without_us(tmp_path):
    path = CheckpointFolder(tmp_path).save(1, ARRAYS, META)
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["params/actor/kernel"], ARRAYS["params/actor/kernel"])


def test_equal_states_are_equal_files(tmp_path):
    first = CheckpointFolder(tmp_path / "a").save(1, ARRAYS, META).read_bytes()
    assert CheckpointFolder(tmp_path / "b").save(1, ARRAYS, META).read_bytes() == first


def test_the_last_ones_and_the_permanent_ones_stay(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in (10, 20, 30, 40, 50):
        folder.save(step, {"a": np.array(step)}, {}, permanent=step == 20)
    assert folder.steps() == [20, 40, 50]
    assert folder.load(tmp_path / "000000020-permanent.npz").arrays["a"] == 20
    folder.truncate_after(40)
    assert folder.steps() == [20, 40]
    assert folder.latest().step == 40


def test_steps_sort_as_numbers(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=9)
    for step in (999_999_999, 1_000_000_000):
        folder.save(step, {}, {})
    assert folder.latest().step == 1_000_000_000


def test_a_folder_without_checkpoints_has_no_latest(tmp_path):
    assert CheckpointFolder(tmp_path / "none").latest() is None
    assert CheckpointFolder(tmp_path / "none").steps() == []


def test_a_step_is_loaded_by_its_number(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (10, 20):
        folder.save(step, {"a": np.array(step)}, {}, permanent=step == 20)
    assert folder.at(10).arrays["a"] == 10
    assert folder.at(20).arrays["a"] == 20
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 15, only of \[10, 20\]"):
        folder.at(15)
    (tmp_path / "000000010.npz").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"000000010.npz is empty .*; the steps with a checkpoint are \[10, 20\]"):
        folder.at(10)


def test_a_negative_step_is_refused(tmp_path):
    with pytest.raises(ValueError, match="counts updates from 0, got -5"):
        CheckpointFolder(tmp_path).save(-5, {}, {})


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1 checkpoint, got 0"):
        CheckpointFolder(tmp_path, keep=0)


@pytest.mark.parametrize(
    ("name", "array", "error", "says"),
    [
        ("a", np.array([None]), TypeError, "'a' has dtype object"),
        ("a", np.array(["text"]), TypeError, "'a' has dtype <U4"),
        ("a", np.zeros(2, np.dtype("V2")), TypeError, "'a' has dtype"),
        ("a\0b", np.zeros(2), ValueError, "zero character"),
        ("a\ud800", np.zeros(2), ValueError, "surrogates"),
    ],
)
def test_what_cannot_be_stored_exactly_is_refused(tmp_path, name, array, error, says):
    with pytest.raises(error, match=says):
        CheckpointFolder(tmp_path).save(1, {name: array}, {})
    assert not list(tmp_path.iterdir())


def test_damaged_newest_is_passed_over_with_a_warning(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=3)
    for step in (10, 20, 30):
        folder.save(step, {"a": np.arange(step)}, {})
    (tmp_path / "000000030.npz").write_bytes(b"")
    with pytest.warns(DamagedCheckpointWarning, match=r"000000030.npz is empty .* using 000000020.npz instead"):
        assert folder.latest().step == 20


def test_all_damaged_is_an_error_that_names_all(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (10, 20):
        path = folder.save(step, {"a": np.arange(99)}, {})
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CheckpointError, match=r"start it anew.*000000020.npz is truncated.*000000010.npz is truncated"):
        folder.latest()


def test_every_truncation_is_found(tmp_path):
    path = CheckpointFolder(tmp_path).save(1, ARRAYS, META)
    content = path.read_bytes()
    for size in random.Random(0).sample(range(len(content)), 60):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=r"000000001.npz is (truncated|empty|no checkpoint)"):
            CheckpointFolder.load(path)


def test_a_flipped_bit_is_found_or_without_effect(tmp_path):
    path = CheckpointFolder(tmp_path).save(1, ARRAYS, META)
    content = path.read_bytes()
    generator, found = random.Random(1), 0
    for _ in range(400):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            checkpoint = CheckpointFolder.load(path)
        except CheckpointError:
            found += 1
        else:  # a bit that carries nothing, of a time stamp for instance
            assert checkpoint.meta == META
            assert_same(checkpoint.arrays, ARRAYS)
    assert found > 200


def test_a_changed_array_with_valid_zip_checksums_is_found(tmp_path):
    path = CheckpointFolder(tmp_path).save(1, {"a": np.zeros(3), "b": np.zeros(3)}, {})
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["b.npy"] = entries["b.npy"][:-1] + b"\1"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(CheckpointError, match=r"damaged \(the SHA-256 of b.npy is not the recorded one\)"):
        CheckpointFolder.load(path)


def test_another_format_version_is_named(tmp_path):
    path = tmp_path / "000000001.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("format.json", json.dumps({"version": 99, "sha256": {}}))
    with pytest.raises(CheckpointError, match="format version 99, expected 1"):
        CheckpointFolder.load(path)


def test_a_foreign_npz_and_a_missing_file_are_named(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(CheckpointError, match=r"other.npz is damaged .*no item named 'format.json'"):
        CheckpointFolder.load(tmp_path / "other.npz")
    with pytest.raises(CheckpointError, match=r"none.npz cannot be read: No such file"):
        CheckpointFolder.load(tmp_path / "none.npz")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_says_so_and_leaves_the_earlier_checkpoint(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(10, {"a": np.arange(1000.0)}, {})
    (tmp_path / f".000000020.npz.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"no space left to write .*000000020.npz \(0.8 MB\).*free space"):
        folder.save(20, {"a": np.arange(100_000.0)}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["000000010.npz"]
    assert folder.latest().step == 10


def test_a_file_that_the_kernel_cuts_short_never_gets_a_name(tmp_path):
    code = """
import resource, sys
import numpy as np
from pathlib import Path
from offlow_core.training.checkpoints import CheckpointError, CheckpointFolder
folder = CheckpointFolder(Path(sys.argv[1]))
folder.save(10, {"a": np.arange(1000.0)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    folder.save(20, {"a": np.arange(100_000.0)}, {})
except CheckpointError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "000000020.npz (0.8 MB) could not be written" in done.stdout
    assert "File too large" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["000000010.npz"]


def test_killed_writers_leave_checkpoints_that_load(tmp_path):
    code = """
import sys
import numpy as np
from pathlib import Path
from offlow_core.training.checkpoints import CheckpointFolder
folder = CheckpointFolder(Path(sys.argv[1]))
step = folder.latest().step if folder.latest() else 0
while True:
    step += 1
    folder.save(step, {"a": np.full(50_000, step), "b": np.array(step)}, {"step": step})
    print(step, flush=True)
"""
    generator, folder = random.Random(2), CheckpointFolder(tmp_path)
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
            writer.stdout.readline()
            time.sleep(generator.uniform(0, 0.1))
            os.kill(writer.pid, signal.SIGKILL)
            reported = [int(line) for line in writer.stdout.read().splitlines() if line]
        checkpoint = folder.latest()  # a warning of damage would fail the test
        assert checkpoint.step >= max(reported, default=1)
        assert np.all(checkpoint.arrays["a"] == checkpoint.step)
        assert checkpoint.meta == {"step": checkpoint.step}
    folder.save(checkpoint.step + 1, {}, {})
    assert all(path.suffix == ".npz" for path in tmp_path.iterdir())


dtypes = st.sampled_from([np.dtype(t) for t in ("?", "u1", "<u4", ">i4", "<i8", "<f2", "<f4", ">f8", "<c8")])
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
arrays = npst.arrays(dtypes, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(names, arrays, max_size=5), st.dictionaries(st.text(max_size=5), json_values, max_size=3))
def test_any_tree_of_arrays_comes_back(tree, meta):
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = CheckpointFolder.load(CheckpointFolder(Path(folder)).save(3, tree, meta))
    assert checkpoint.meta == meta
    assert_same(checkpoint.arrays, tree)
