import re

import h5py
import numpy as np
import pytest

from offlow_core.data.action_variance import VarianceOptions, estimate_action_variance
from offlow_core.suites import SuiteOptions, resolve

CUBE = "cube-single-play-singletask-v0"


def number(text: str, line: str) -> float:
    """The number at the beginning of a line of the report."""
    return float(re.search(rf"^  {line} +([\d.e+-]+)", text, re.MULTILINE)[1])


def expected(name: str, path, **options) -> float:
    data = resolve(name, SuiteOptions(dataset_path=str(path))).load_dataset().train
    choices = VarianceOptions(**options)
    return estimate_action_variance(data.observations[data.rows], data.actions, data.terminals, choices).value


def test_a_cached_dataset_by_its_name(offlow, cube):
    text = offlow("iav", CUBE, "--dataset_dir", cube)
    value = expected(CUBE, cube / "cube-single-play-v0.npz")
    lines = text.splitlines()
    assert lines[:4] == [
        f"{CUBE} (ogbench)",
        f"  train  {cube / 'cube-single-play-v0.npz'}",
        "  pairs  247 transitions to train on",
        "",
    ]
    assert lines[4] == "intrinsic action variance"
    assert lines[5].startswith(f"  IAV      {value:.4g} per action dimension (")
    assert lines[6:11] == [
        "  queries  247 states of 28 numbers out of 247, all of them",
        "  options  k 5, include_self False, ddof 0, standardize False, exclude_same_trajectory False",
        "",
        "target_divergence",
        f"  0.1 x IAV  {0.1 * value:<10.4g}  <- published: fine manipulation (OGBench's cube and scene)",
    ]
    assert lines[11] == f"  1.0 x IAV  {value:.4g}"
    assert lines[12].strip() == "A value published for the task wins over the rule: deflow --preset paper has them."
    assert len(lines) == 13


def test_options_are_used_and_printed(offlow, cube):
    words = ["--k", 3, "--num_queries", 100, "--standardize", "--include_self", "--ddof", 1]
    words += ["--exclude_same_trajectory", "--seed", 7]
    text = offlow("iav", CUBE, "--dataset_dir", cube, *words)
    options = {"k": 3, "num_queries": 100, "standardize": True, "include_self": True, "ddof": 1, "seed": 7}
    value = expected(CUBE, cube / "cube-single-play-v0.npz", exclude_same_trajectory=True, **options)
    assert number(text, "IAV") == float(f"{value:.4g}")
    assert "100 states of 28 numbers out of 247, drawn with seed 7\n" in text
    assert "k 3, include_self True, ddof 1, standardize True, exclude_same_trajectory True\n" in text


def test_the_rule_follows_the_task(offlow, hopper):
    text = offlow("iav", hopper, "--task", "hopper-medium-v2")
    assert "  pairs  99 transitions to train on\n" in text
    marked = [line for line in text.splitlines() if "<-" in line]
    assert len(marked) == 1
    assert marked[0].startswith("  1.0 x IAV  ")
    assert marked[0].endswith("<- published for navigation and locomotion, though with no value for this task")
    assert number(text, "IAV") == float(f"{expected('hopper-medium-v2', hopper):.4g}")


def test_a_file_without_a_task(offlow, hopper, cube):
    text = offlow("iav", hopper)
    assert text.startswith(f"{hopper}\n  train  {hopper}\n  pairs  100 recorded rows\n")
    assert "  <- ours: nothing is known of this task, so the tighter one\n" in text
    with h5py.File(hopper) as file:
        states, actions = file["observations"][:], file["actions"][:]
    value = estimate_action_variance(states, actions, np.ones(100)).value
    assert number(text, "IAV") == pytest.approx(value, rel=1e-3)
    # The last row of an episode of OGBench has an action that counts nothing.
    path = cube / "cube-single-play-v0.npz"
    text = offlow("iav", path, "--exclude_same_trajectory")
    assert "  pairs  247 recorded rows\n" in text
    assert number(text, "IAV") == float(f"{expected(CUBE, path, exclude_same_trajectory=True):.4g}")


def test_actions_of_minari_are_measured_in_their_range(offlow, hopper, tmp_path):
    offlow("convert", hopper, tmp_path / "x-v0")
    before = number(offlow("iav", tmp_path / "x-v0"), "IAV")
    metadata = tmp_path / "x-v0" / "data" / "metadata.json"
    metadata.write_text(metadata.read_text().replace("-1.0", "-2.0").replace("[1.0, 1.0, 1.0]", "[2.0, 2.0, 2.0]"))
    assert number(offlow("iav", tmp_path / "x-v0"), "IAV") == pytest.approx(before / 4, rel=1e-3)


def test_own_data(offlow, failure, tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "own.npz"
    arrays = {
        "observations": generator.normal(size=(60, 3)).astype(np.float32),
        "actions": generator.uniform(-1, 1, (60, 2)).astype(np.float32),
        "rewards": np.ones(60, np.float32),
        "terminals": np.zeros(60, bool),
    }
    np.savez(path, **arrays, timeouts=np.arange(60) % 20 == 19)
    text = offlow("iav", path, "--exclude_same_trajectory")
    assert "  pairs  57 transitions to train on\n" in text
    assert number(text, "IAV") == float(f"{expected('own/mine', path, exclude_same_trajectory=True):.4g}")
    assert number(text, "IAV") == number(offlow("iav", path, "--task", "own/mine", "--exclude_same_trajectory"), "IAV")
    np.savez(path, **arrays)
    assert "  pairs  59 transitions to train on\n" in offlow("iav", path)
    _, message = failure("iav", path, "--exclude_same_trajectory")
    assert "the file has no `timeouts`" in message
    np.savez(path, **arrays | {"actions": 2 * arrays["actions"]})
    _, message = failure("iav", path)
    assert "`actions` must lie in [-1, 1]" in message


def test_a_d4rl_file_without_timeouts_needs_its_task_to_know_trajectories(offlow, failure, unmarked):
    assert "  pairs  2,100 recorded rows\n" in offlow("iav", unmarked)
    _, message = failure("iav", unmarked, "--exclude_same_trajectory")
    assert message.startswith(f"offlow data iav: {unmarked}: exclude_same_trajectory must know where")
    assert "--task NAME" in message
    text = offlow("iav", unmarked, "--task", "hopper-medium-v2", "--exclude_same_trajectory")
    assert "  pairs  2,097 transitions to train on\n" in text


@pytest.mark.parametrize("words", [[], ["--task", "visual-cube-single-play-singletask-v0"], ["--task", "own/images"]])
def test_images_are_refused_before_they_are_read(failure, tmp_path, monkeypatch, words):
    path = tmp_path / "images.npz"
    np.savez_compressed(
        path,
        observations=np.zeros((40, 64, 64, 3), np.uint8),
        actions=np.zeros((40, 5), np.float32),
        rewards=np.zeros(40, np.float32),
        terminals=np.arange(40) % 20 == 19,
    )

    def read(*_):
        raise AssertionError("the images were read")

    monkeypatch.setattr("offlow_core.data.npz_file.NpzFile.read", read)
    _, message = failure("iav", path, *words)
    assert message.startswith(f"offlow data iav: {path}: `observations` are images")
    assert "the name without `visual-`" in message


def test_images_in_another_format_are_refused_too(failure, tmp_path):
    path = tmp_path / "images.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.zeros((10, 8, 8, 3), np.uint8)
        file["actions"], file["rewards"] = np.zeros((10, 2), np.float32), np.zeros(10, np.float32)
        file["terminals"], file["timeouts"] = np.zeros(10, bool), np.arange(10) == 9
    _, message = failure("iav", path)
    assert message.startswith(f"offlow data iav: {path}: `observations` are images")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_damaged_files(failure, tmp_path, content):
    path = tmp_path / "file.npz"
    path.write_bytes(content)
    _, message = failure("iav", path)
    assert message.startswith(f"offlow data iav: {path}: ")


def test_unusable_options(failure, capsys, hopper):
    _, status = failure("iav", hopper, "--k", "1")
    assert status == 2
    _, message = failure("iav", hopper, "--k", "100")
    assert message == f"offlow data iav: {hopper}: 100 neighbours of a state need 101 states or more, got 100."
    _, message = failure("iav", "hopper-medium-v2")
    assert message.endswith("Get it with: offlow data download hopper-medium-v2")
