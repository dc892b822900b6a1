"""Loading a real file: 250 + 70 rows out of cube-single play data, collected with the package's oracles."""

import hashlib
import json
import shutil
import threading
import warnings
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError
from offlow_core.suites import SuiteOptions, ogbench_dataset, resolve

EXCERPT = Path(__file__).parent / "files" / "cube-single-play-excerpt.npz"
VALIDATION = EXCERPT.with_name("cube-single-play-excerpt-val.npz")
NAME = "cube-single-play-singletask-v0"


def load(name: str = NAME, **options) -> Dataset:
    return resolve(name, SuiteOptions(**options)).load_dataset()


@pytest.fixture(scope="module")
def loaded() -> Dataset:
    return load(dataset_path=str(EXCERPT))


@pytest.fixture
def copies(tmp_path) -> Path:
    """A folder with the two files under their official names."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(EXCERPT, folder / "cube-single-play-v0.npz")
    shutil.copy(VALIDATION, folder / "cube-single-play-v0-val.npz")
    return folder


def rewrite(path: Path, **changes) -> Path:
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def assert_equals_the_package(name: str, path: Path) -> None:
    import ogbench

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, *expected = ogbench.make_env_and_datasets(name, dataset_path=str(path))
    dataset = load(name, dataset_path=str(path))
    for transitions, reference in zip((dataset.train, dataset.validation), expected, strict=True):
        batch = transitions.gather(np.arange(len(transitions)))
        reference["actions"] = np.clip(reference["actions"], -1 + 1e-5, 1 - 1e-5)
        assert batch.keys() == reference.keys()
        for field, values in reference.items():
            np.testing.assert_array_equal(batch[field], values, err_msg=field)
            assert batch[field].dtype == values.dtype


@pytest.mark.parametrize("task", [2, 5])
def test_transitions_equal_those_of_the_package(task):
    assert_equals_the_package(f"cube-single-play-singletask-task{task}-v0", EXCERPT)


@pytest.mark.parametrize(
    "name",
    [
        "scene-play-singletask-v0",
        "puzzle-3x3-play-singletask-v0",
        "pointmaze-medium-navigate-singletask-v0",
        "antsoccer-arena-navigate-singletask-v0",
    ],
)
def test_every_family_is_relabelled_as_in_the_package(name, tmp_path):
    """Two episodes of random actions, the second one twice as long, recorded as the datasets are."""
    env = resolve(name).make_environment()
    env.action_space.seed(0)
    rows = {"observations": [], "actions": [], "terminals": [], "qpos": [], "button_states": []}
    for length in (5, 10):
        observation, _ = env.reset(seed=length)
        for step in range(length):
            action = env.action_space.sample()
            following, *_, info = env.step(action)
            values = (observation, action, step == length - 1, info["prev_qpos"], info.get("prev_button_states", 0))
            for field, value in zip(rows, values, strict=True):
                rows[field].append(value)
            observation = following
    for suffix in ("", "-val"):
        np.savez(tmp_path / f"random{suffix}.npz", **{field: np.array(values) for field, values in rows.items()})
    assert_equals_the_package(name, tmp_path / "random.npz")


def test_rewards_masks_and_ends(loaded):
    train = loaded.train
    assert len(train) == 250 - 3
    assert np.flatnonzero(train.terminals).tolist() == [88, 187, 246]  # episodes of 90, 100 and 60 rows
    np.testing.assert_array_equal(train.rewards == 0, train.masks == 0)
    assert set(train.rewards.tolist()) == {-1.0, 0.0}  # both appear: the cube reaches the target inside of an episode
    assert np.abs(train.actions).max() == np.float32(1 - 1e-5)


def test_the_default_task_is_task_2(loaded):
    explicit = load("cube-single-play-singletask-task2-v0", dataset_path=str(EXCERPT))
    assert explicit.train.checksum() == loaded.train.checksum()


def test_observations_are_stored_once(loaded):
    train = loaded.train
    assert train.observations.shape == (250, 28)
    np.testing.assert_array_equal(train.next_rows, train.rows + 1)


def test_the_origin_names_size_and_checksum_of_each_file(loaded):
    assert json.loads(json.dumps(loaded.origin)) == {
        "source": "dataset_path",
        "files": [
            {
                "role": role,
                "name": path.name,
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for role, path in (("train", EXCERPT), ("validation", VALIDATION))
        ],
        "transitions": {"train": 247, "validation": 68},
    }


def test_a_given_file_may_come_without_validation_data(tmp_path):
    dataset = load(dataset_path=str(shutil.copy(EXCERPT, tmp_path / "mine.npz")))
    assert dataset.validation is None
    assert [file["role"] for file in dataset.origin["files"]] == ["train"]


def test_a_given_file_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.npz: there is no such file"):
        load(dataset_path=str(tmp_path / "absent.npz"))


def test_loading_leaves_the_callers_random_numbers_alone():
    np.random.seed(0)  # noqa: NPY002 (the generator in question)
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    load(dataset_path=str(EXCERPT))
    assert np.random.random() == expected  # noqa: NPY002


def test_the_cache_is_used(copies, loaded):
    dataset = load(dataset_dir=str(copies))
    assert dataset.origin["source"] == "cache"
    assert dataset.train.checksum() == loaded.train.checksum()


def test_the_cache_of_the_package_is_the_default(copies, monkeypatch):
    home = copies.parent / "home"
    (home / ".ogbench").mkdir(parents=True)
    copies.rename(home / ".ogbench" / "data")
    monkeypatch.setenv("HOME", str(home))
    assert load().origin["source"] == "cache"


@pytest.fixture
def server(copies, monkeypatch) -> Iterator[None]:
    """Offers the two files."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=copies)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setattr(ogbench_dataset, "DATASET_ADDRESS", f"http://127.0.0.1:{server.server_address[1]}")
    yield
    server.shutdown()
    server.server_close()
    thread.join()


def test_missing_files_are_downloaded(copies, server, tmp_path):
    assert load(dataset_dir=str(tmp_path / "cache")).origin["source"] == "download"
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {path.name for path in copies.iterdir()}


def test_a_damaged_download_does_not_stay(copies, server, tmp_path):
    original = copies / "cube-single-play-v0-val.npz"
    whole = original.read_bytes()
    original.write_bytes(whole[:-100])
    with pytest.raises(DatasetError, match=r"v0-val\.npz could not .* damaged and was removed \(it cannot .*") as error:
        load(dataset_dir=str(tmp_path / "cache"))
    assert str(error.value).endswith("offlow data collect cube-single-play-v0")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["cube-single-play-v0.npz"]
    original.write_bytes(whole)
    assert load(dataset_dir=str(tmp_path / "cache")).origin["source"] == "download"


def test_offline_the_error_names_address_file_target_and_how_to_collect(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFLOW_OFFLINE", "1")
    with pytest.raises(DatasetError) as error:
        load(dataset_dir=str(tmp_path))
    message = str(error.value)
    assert "https://rail.eecs.berkeley.edu/datasets/ogbench/cube-single-play-v0.npz" in message
    assert str(tmp_path / "cube-single-play-v0.npz") in message
    assert message.endswith("offlow data collect cube-single-play-v0")


def test_data_that_cannot_be_collected_are_not_offered_for_collection(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFLOW_OFFLINE", "1")
    with pytest.raises(DatasetError, match=r"antmaze-large-navigate-v0\.npz") as error:
        load("antmaze-large-navigate-singletask-v0", dataset_dir=str(tmp_path))
    assert "collect" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"observations": np.zeros((250, 29), np.float32)},
            r"`observations` .*\(any, 28\) as cube-single.* got \(250, 29\)",
        ),
        ({"actions": np.zeros((250, 4), np.float32)}, r"`actions` must have shape \(any, 5\)"),
        ({"qpos": np.zeros((250, 14), np.float32)}, r"`qpos` must have shape \(any, 21\)"),
        ({"qpos": None}, "`qpos` is missing"),
        ({"actions": np.full((250, 5), np.nan, np.float32)}, "`actions` .* row 0"),
    ],
)
def test_a_file_that_does_not_fit_the_environment_is_refused(copies, change, message):
    path = rewrite(copies / "cube-single-play-v0.npz", **change)
    with pytest.raises(DatasetError, match=message) as error:
        load(dataset_dir=str(copies))
    assert str(path) in str(error.value)


def test_a_truncated_file_is_refused(copies):
    path = copies / "cube-single-play-v0-val.npz"
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(DatasetError, match=r"v0-val.npz: the archive cannot be read .* collect it again"):
        load(dataset_dir=str(copies))


def test_visual_data_keep_their_frames_once_as_uint8(copies, loaded):
    frames = np.random.default_rng(0).integers(0, 256, (250, 64, 64, 3), np.uint8)
    path = rewrite(copies / "cube-single-play-v0.npz", observations=frames)
    dataset = load("visual-cube-single-play-singletask-v0", dataset_path=str(path.rename(copies / "visual.npz")))
    np.testing.assert_array_equal(dataset.train.observations, frames)
    assert dataset.train.observations.dtype == np.uint8
    assert dataset.train.rewards.tolist() == loaded.train.rewards.tolist()


def test_visual_data_have_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFLOW_OFFLINE", "1")
    with pytest.raises(DatasetError, match=r"/visual-cube-single-play-v0\.npz"):
        load("visual-cube-single-play-singletask-v0", dataset_dir=str(tmp_path))
