import hashlib
import socket

import h5py
import numpy as np
import pytest

from offlow_core.commands import data_info
from offlow_core.suites import dataset_files
from offlow_core.suites.dataset_files import fingerprint


def section(text: str, heading: str) -> dict[str, str]:
    """The lines of one section, by their first words."""
    lines = text.split(f"{heading}\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines}


def test_a_d4rl_file_as_it_is(offlow, hopper):
    text = offlow("info", hopper)
    sha = hashlib.sha256(hopper.read_bytes()).hexdigest()
    assert text.startswith(
        f"{hopper}\n  train  {hopper} ({hopper.stat().st_size / 1000:.1f} kB)\n         sha256 {sha}\n\n"
    )
    recorded = section(text, "train: recorded rows (D4RL's HDF5 file)")
    assert recorded["rows"] == "100 in 2 episodes of 40 to 60 (mean 50.0)"
    assert recorded["transitions"] == "99"
    assert recorded["borders"] == "1 episodes end in a terminal state, 1 are cut off"
    assert recorded["returns"] == "40 to 60, mean 50 (sd 10)"
    assert recorded["rewards"] == "1 to 1, mean 1 (sd 0)"
    assert recorded["observations"].startswith("11 numbers per row, ")
    assert recorded["actions"].endswith("0.0% of the numbers at the limit of +-1")
    assert recorded["memory"] == f"{100 * (44 + 12 + 4 + 2 + 24) / 1000} kB for all arrays of the file"
    assert "score" not in recorded


def test_a_file_as_a_tasks_dataset(offlow, hopper):
    text = offlow("info", hopper, "--task", "hopper-medium-v2")
    assert text.startswith("hopper-medium-v2 (d4rl)\n")
    # 100 (R + 20.272305) / (3234.3 + 20.272305) for R = 40, 60 and 50.
    score = section(text, "train: recorded rows (D4RL's HDF5 file)")["score"]
    assert score == "normalised return: 1.9 to 2.5, mean 2.2 (0 is a return of -20.2723, 100 of 3234.3)"
    trained = section(text, "train: transitions to train on")
    assert trained["transitions"] == "99 in 2 trajectories"
    assert trained["returns"] == "40 to 59, mean 49.5 (sd 9.5)"
    assert trained["terminations"] == "1 transition without a future (1.01%)"


def test_a_d4rl_file_without_timeouts(offlow, unmarked):
    text = offlow("info", unmarked)
    assert "rows          2,100 in 1 episode of 2,100 to 2,100" in text
    assert "  the file has no `timeouts`: an episode that was cut off runs on into the next\n" in text
    text = offlow("info", unmarked, "--task", "hopper-medium-v2")
    recorded = section(text, "train: recorded rows (D4RL's HDF5 file)")
    assert recorded["rows"] == "2,100 in 3 episodes of 100 to 1,000 (mean 700.0)"
    assert recorded["transitions"] == "2,097"
    assert recorded["borders"] == "0 episodes end in a terminal state, 2 are cut off, the last one is unfinished"
    assert "has no `timeouts`" not in text
    assert section(text, "train: transitions to train on")["transitions"] == "2,097 in 3 trajectories"


def test_every_file_is_hashed_once(offlow, hopper, cube, monkeypatch):
    hashed = []

    def counting(role, path):
        hashed.append((role, path.name))
        return fingerprint(role, path)

    monkeypatch.setattr(dataset_files, "fingerprint", counting)
    monkeypatch.setattr(data_info, "fingerprint", counting)
    text = offlow("info", hopper, "--task", "hopper-medium-v2")
    assert f"sha256 {hashlib.sha256(hopper.read_bytes()).hexdigest()}\n" in text
    assert hashed == [("train", "hopper_medium-v2.hdf5")]
    hashed.clear()
    offlow("info", hopper)
    assert hashed == [("train", "hopper_medium-v2.hdf5")]
    hashed.clear()
    offlow("info", "cube-single-play-singletask-v0", "--dataset_dir", cube)
    assert hashed == [("train", "cube-single-play-v0.npz"), ("validation", "cube-single-play-v0-val.npz")]


def test_a_cached_dataset_by_its_name(offlow, cube):
    text = offlow("info", "cube-single-play-singletask-task1-v0", "--dataset_dir", cube)
    recorded = section(text, "train: recorded rows (OGBench's npz file)")
    assert recorded["rows"].startswith("250 in ")
    assert recorded["returns"] == "none: the file has no rewards, they are computed for a task (--task NAME)"
    assert section(text, "validation: recorded rows (OGBench's npz file)")["rows"].startswith("70 in ")
    trained = section(text, "train: transitions to train on")
    assert trained["transitions"] == "247 in 3 trajectories"
    assert "trajectories reach the goal" in trained["success"]
    assert section(text, "validation: transitions to train on")["transitions"].startswith("68 in ")


def test_values_that_are_not_finite_and_constant_columns_are_mentioned(offlow, hopper):
    with h5py.File(hopper, "a") as file:
        file["observations"][7, 2] = np.nan
        file["observations"][:, 5] = 3
    line = section(offlow("info", hopper), "train: recorded rows (D4RL's HDF5 file)")["observations"]
    assert line.endswith(", 1 of them constant; 1 row with NaN or infinity (the first is 7)")


def test_nothing_is_downloaded(failure):
    _, message = failure("info", "hopper-medium-v2")
    assert message.endswith("Get it with: offlow data download hopper-medium-v2")
    assert "hopper-medium-v2 is not on this machine: there is no " in message


@pytest.mark.parametrize("command", ["info", "validate"])
def test_not_even_the_metadata_of_a_minari_dataset_are_downloaded(failure, home, monkeypatch, command):
    def connect(*_):
        raise AssertionError("something was asked of the network")

    monkeypatch.setattr(socket, "create_connection", connect)
    _, message = failure(command, "mujoco/hopper/medium-v0")
    folder = home / ".minari" / "datasets" / "mujoco" / "hopper" / "medium-v0" / "data"
    assert message == (
        f"offlow data {command}: mujoco/hopper/medium-v0 is not on this machine: there is no {folder}/metadata.json "
        f"and no {folder}/main_data.hdf5.\nGet it with: offlow data download mujoco/hopper/medium-v0"
    )
    assert not (home / ".minari").exists()


def test_neither_a_file_nor_a_name(failure, tmp_path):
    _, message = failure("info", "hoper-medium-v2")
    assert message.startswith("offlow data info: 'hoper-medium-v2' is no file, and no task either: unknown task")
    assert "hopper-medium-v2" in message
    _, message = failure("info", tmp_path / "absent.npz")
    assert message == f"offlow data info: {tmp_path / 'absent.npz'}: there is no such file."
    _, message = failure("info", tmp_path / "absent.npz", "--task", "hopper-medium-v2")
    assert "there is no such file" in message


def test_a_file_of_another_task_is_refused(failure, hopper):
    text, message = failure("info", hopper, "--task", "walker2d-medium-v2")
    assert section(text, "train: recorded rows (D4RL's HDF5 file)")["transitions"] == "99"
    assert "transitions to train on" not in text
    assert "`observations` must have shape (any, 17)" in message


def test_unusable_files(failure, hopper):
    hopper.write_bytes(hopper.read_bytes()[:2000])
    _, message = failure("info", hopper)
    assert f"{hopper}: the file cannot be read" in message


def test_own_data_are_named_by_their_file(failure):
    _, message = failure("info", "own/mine")
    assert message == "offlow data info: own/mine: this task has no dataset of its own; name a file instead."
