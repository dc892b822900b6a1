"""Reports line by line, exit status 1 on a FAIL; the checks themselves are tested on recordings."""

import h5py
import numpy as np
import pytest


def rewrite(path, **changes):
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


@pytest.fixture
def own(tmp_path):
    """Two cut-off episodes of 30 rows of own data."""
    generator = np.random.default_rng(0)
    path = tmp_path / "own.npz"
    np.savez(
        path,
        observations=np.cumsum(generator.normal(size=(60, 3)), axis=0).astype(np.float32),
        actions=generator.uniform(-1, 1, (60, 2)).astype(np.float32),
        rewards=generator.normal(size=60).astype(np.float32),
        terminals=np.zeros(60, bool),
        timeouts=np.arange(60) % 30 == 29,
    )
    return path


def test_a_sound_file(offlow, own):
    lines = offlow("validate", own).splitlines()
    assert lines[0] == f"OK    {own} can be read (own arrays, npz or HDF5)"
    assert lines[-2:] == ["OK    can be loaded as own data", "0 failures, 0 warnings"]
    assert all(line.startswith("OK    ") for line in lines[:-1])


def test_all_faults_are_reported_and_the_status_is_1(failure, own):
    actions, rewards = np.load(own)["actions"], np.load(own)["rewards"]
    actions[3], rewards[10] = 5, np.nan
    output, status = failure("validate", rewrite(own, actions=actions, rewards=rewards))
    assert status == 1
    failures = [line for line in output.splitlines() if line.startswith("FAIL")]
    assert failures[0] == "FAIL  `rewards`: NaN or infinity in 1 row, the first is row 10"
    assert failures[1].startswith("FAIL  actions outside of [-1, 1], up to 5, in 1 row, the first is 3: own data are")
    assert failures[2].startswith(
        f"FAIL  cannot be loaded as own data: {own}: `actions` must lie in [-1, 1], but row 3"
    )
    assert output.endswith("3 failures, 0 warnings\n")


def test_warnings_leave_the_status_at_0(offlow, own):
    text = offlow("validate", rewrite(own, rewards=np.zeros(60)))
    assert "WARN  all rewards are 0: there is nothing to prefer\n" in text
    assert text.endswith("0 failures, 1 warning\n")


def test_a_missing_field(failure, own):
    output, status = failure("validate", rewrite(own, terminals=None))
    assert status == 1
    assert "FAIL  the field `terminals` is missing; the file holds actions, observations, rewards, timeouts." in output
    assert "OK    all numbers are finite (actions, observations, rewards)" in output


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_files_that_cannot_be_read(failure, tmp_path, content):
    path = tmp_path / "file.npz"
    path.write_bytes(content)
    output, status = failure("validate", path)
    assert status == 1
    assert output.startswith(f"FAIL  {path}: ")
    assert output.endswith("1 failure, 0 warnings\n")


def test_an_array_that_is_damaged_does_not_hide_the_others(failure, own):
    np.savez(own, **dict(np.load(own)))  # stored, not compressed: its bytes can be found
    raw = bytearray(own.read_bytes())
    values = np.load(own)["rewards"].tobytes()
    raw[raw.index(values)] ^= 1
    own.write_bytes(raw)
    output, status = failure("validate", own)
    assert status == 1
    assert f"FAIL  {own}: the field `rewards` cannot be read (Bad CRC-32" in output
    assert "OK    all numbers are finite (actions, observations)" in output


def test_a_file_as_a_tasks_dataset(failure, offlow, hopper):
    assert "OK    can be loaded as hopper-medium-v2\n" in offlow("validate", hopper, "--task", "hopper-medium-v2")
    output, status = failure("validate", hopper, "--task", "walker2d-medium-v2")
    assert status == 1
    assert "FAIL  cannot be loaded as walker2d-medium-v2: " in output


def test_a_d4rl_file_without_timeouts(offlow, unmarked):
    text = offlow("validate", unmarked)
    assert "WARN  no row is marked in `timeouts`: an episode that was cut off runs on into the next\n" in text
    text = offlow("validate", unmarked, "--task", "hopper-medium-v2")
    assert "`timeouts`" not in text
    assert "WARN  the last row (2099) ends no episode: the file is cut off, or unfinished\n" in text


def test_a_cached_dataset_with_its_validation_file(failure, offlow, cube):
    name = "cube-single-play-singletask-v0"
    text = offlow("validate", name, "--dataset_dir", cube)
    assert text.count("can be read (OGBench's npz file)") == 2
    assert f"OK    can be loaded as {name}\n" in text
    terminals = np.load(cube / "cube-single-play-v0-val.npz")["terminals"].copy()
    terminals[-1] = False
    rewrite(cube / "cube-single-play-v0-val.npz", terminals=terminals)
    output, _ = failure("validate", name, "--dataset_dir", cube)
    assert "FAIL  the last row (69) ends no episode: the file is cut off, or unfinished" in output


def test_a_lost_cut_off(failure, hopper):
    with h5py.File(hopper, "a") as file:
        after = np.roll(file["observations"][:], -1, axis=0)
        after[[39, 99]] += 1
        file["next_observations"] = after
        file["terminals"][39] = False
    output, _ = failure("validate", hopper)
    assert "in 1 row inside of episodes, the first is 39: a border is missing there" in output


def test_own_data_as_a_task(offlow, own):
    assert "OK    can be loaded as own/mine\n" in offlow("validate", own, "--task", "own/mine")


def test_a_d4rl_tasks_file_need_hold_no_more_than_its_loader_asks_for(offlow, tmp_path):
    path, random = tmp_path / "door.hdf5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["observations"] = random.normal(size=(400, 39)).astype(np.float32)
        file["actions"] = (3 * random.uniform(-1, 1, (400, 28))).astype(np.float32)
        file["rewards"] = random.normal(size=400).astype(np.float32)
        file["terminals"], file["timeouts"] = np.zeros(400, bool), np.arange(400) % 200 == 199
    lines = offlow("validate", path, "--task", "door-expert-v1").splitlines()
    assert lines[0] == f"OK    {path} can be read (D4RL's HDF5 file)"
    assert any(line.startswith("WARN") and "actions outside of [-1, 1]" in line for line in lines)
    assert lines[-1].startswith("0 failures")


def test_a_folder_that_is_no_dataset_is_refused_before_it_is_read(failure, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for command in ("info", "validate"):
        _, message = failure(command, tmp_path)
        assert "expected a file, or the folder of a Minari dataset" in message
