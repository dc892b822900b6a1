"""Folders of shards: the three episodes of the cube-single excerpt, a file each."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from offlow_core.data.shards import ShardedDataset
from offlow_core.data.validation import DatasetError
from offlow_core.suites import SuiteOptions, ogbench_names, resolve
from offlow_core.suites.ogbench_shards import load_shards
from offlow_core.testing.comparisons import assert_identical

EXCERPT = Path(__file__).parent / "files" / "cube-single-play-excerpt.npz"
NAME = "cube-single-play-singletask-v0"
EPISODES = {"part-002": slice(0, 90), "part-010": slice(90, 190), "part-011": slice(190, 250)}


def write(path: Path, rows: slice = slice(0, 90), **changes) -> Path:
    """These rows of the excerpt as a file of their own; None leaves an array out."""
    with np.load(EXCERPT) as file:
        arrays = {name: values[rows] for name, values in file.items()} | changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def write_shards(folder: Path) -> Path:
    """The shards, each with another one as its validation file, and what is no shard."""
    folder.mkdir(exist_ok=True)
    for (name, rows), other in zip(EPISODES.items(), reversed(EPISODES.values()), strict=True):
        write(folder / f"{name}.npz", rows)
        write(folder / f"{name}-val.npz", other)
    (folder / ".part-001.npz").write_bytes(b"a download that goes on")
    (folder / "README.md").write_text("where the files are from")
    return folder


def load(folder: Path, name: str = NAME) -> ShardedDataset:
    return load_shards(ogbench_names.parse(name), folder, 1000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def loaded(folder) -> ShardedDataset:
    return load(folder)


def test_shards_are_the_files_that_are_not_held_out_in_the_order_of_their_names(loaded, folder):
    assert loaded.shards.names == tuple(str(folder / f"{name}.npz") for name in EPISODES)
    assert (loaded.shards.interval, loaded.shards.most_rows) == (1000, 100)
    assert [len(loaded.shards.load(number)) for number in range(3)] == [89, 99, 59]


@pytest.mark.parametrize("task", [2, 4])
def test_every_shard_is_what_it_is_as_a_dataset_of_its_own(folder, task):
    name = f"cube-single-play-singletask-task{task}-v0"
    dataset = load(folder, name)
    for number, path in enumerate(dataset.shards.names):
        expected = resolve(name, SuiteOptions(dataset_path=path)).load_dataset().train
        assert_identical(vars_of(dataset.shards.load(number)), vars_of(expected))
    first = resolve(name, SuiteOptions(dataset_path=dataset.shards.names[0])).load_dataset()
    assert dataset.train.checksum() == first.train.checksum()
    assert dataset.validation.checksum() == first.validation.checksum()


def vars_of(transitions) -> dict[str, np.ndarray]:
    return {name: values for name, values in vars(transitions).items() if not name.startswith("_")}


def test_the_goal_stays_that_of_the_task_however_often_shards_are_read(loaded):
    first = loaded.shards.load(0).checksum()
    loaded.shards.load(2)
    assert loaded.shards.load(0).checksum() == first == loaded.train.checksum()


def test_the_origin_names_every_shard(loaded, folder):
    origin = json.loads(json.dumps(loaded.origin))
    assert (origin["source"], origin["transitions"]) == ("ogbench_dataset_dir", {"first shard": 89, "validation": 59})
    *shards, held_out = origin["files"]
    for file, (name, rows) in zip(shards, EPISODES.items(), strict=True):
        assert file.keys() == {"role", "name", "bytes", "rows", "arrays_sha256"}
        assert (file["role"], file["name"], file["rows"]) == ("shard", f"{name}.npz", rows.stop - rows.start)
        assert file["bytes"] == (folder / f"{name}.npz").stat().st_size
    assert len({file["arrays_sha256"] for file in shards}) == 3
    assert (held_out["role"], held_out["name"]) == ("validation", "part-002-val.npz")
    assert len(held_out["sha256"]) == 64


def test_without_a_validation_file_nothing_is_held_out(tmp_path):
    write(tmp_path / "only.npz")
    dataset = load(tmp_path)
    assert dataset.validation is None
    assert [file["role"] for file in dataset.origin["files"]] == ["shard"]


def test_reading_in_the_background_leaves_numpys_global_generator_alone(loaded):
    """Environments elsewhere in this process draw from it."""
    before = np.random.get_state(legacy=False)  # noqa: NPY002 (the generator in question)
    bits, seen = np.random.get_bit_generator(), []
    read = threading.Thread(target=lambda: seen.append(loaded.shards.load(1)))
    read.start()
    while read.is_alive():
        assert np.random.get_bit_generator() is bits
    read.join()
    assert len(seen[0]) == 99
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_array_equal(after["state"]["key"], before["state"]["key"])
    assert after["state"]["pos"] == before["state"]["pos"]


def no_folder(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def only_held_out(folder: Path) -> None:
    for name in EPISODES:
        (folder / f"{name}.npz").unlink()


def cut_off(folder: Path) -> None:
    path = folder / "part-011.npz"
    path.write_bytes(path.read_bytes()[:-200])


def another_task(folder: Path) -> None:
    write(folder / "part-011.npz", observations=np.zeros((90, 37), np.float32))


def another_robot(folder: Path) -> None:
    write(folder / "part-010.npz", qpos=np.zeros((90, 28), np.float32))


def another_length(folder: Path) -> None:
    write(folder / "part-010.npz", actions=np.zeros((80, 5), np.float32))


def lacking(folder: Path) -> None:
    write(folder / "part-010.npz", qpos=None)


def first_not_finite(folder: Path) -> None:
    write(folder / "part-002.npz", actions=np.full((90, 5), np.nan, np.float32))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_folder, r"shards: there is no such folder \(ogbench_dataset_dir\)"),
        (only_held_out, r"shards: holds no shard \(ogbench_dataset_dir\), and 3 validation files"),
        (cut_off, r"part-011\.npz: the archive cannot be read"),
        (another_task, r"part-011\.npz: `observations` must have shape \(any, 28\) as cube-single-.* has it"),
        (another_robot, r"part-010\.npz: `qpos` must have shape \(any, 21\)"),
        (another_length, r"part-010\.npz: `actions` must have shape \(90, any\) \(one row per entry of `terminals`\)"),
        (lacking, r"part-010\.npz: the field `qpos` is missing"),
        (first_not_finite, r"part-002\.npz: `actions` must hold finite numbers, but row 0"),
    ],
)
def test_what_is_found_before_training(tmp_path, damage, message):
    folder = write_shards(tmp_path / "shards")
    damage(folder)
    with pytest.raises(DatasetError, match=message):
        load(folder)


def test_a_file_in_the_place_of_the_folder():
    with pytest.raises(DatasetError, match=r"excerpt\.npz: expected a folder, this is a file"):
        load(EXCERPT)


def test_what_is_inside_of_a_shard_is_found_when_it_is_read(tmp_path):
    folder = write_shards(tmp_path / "shards")
    write(folder / "part-010.npz", slice(90, 190), actions=np.full((100, 5), np.nan, np.float32))
    path = folder / "part-011.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    path.write_bytes(content)
    dataset = load(folder)
    with pytest.raises(DatasetError, match=r"part-010\.npz: `actions` must hold finite numbers"):
        dataset.shards.load(1)
    with pytest.raises(DatasetError, match=r"part-011\.npz: the field `\w+` cannot be read \(Bad CRC-32"):
        dataset.shards.load(2)


def test_a_shard_that_is_exchanged_while_training_goes_on(tmp_path):
    dataset = load(write_shards(tmp_path / "shards"))
    write(tmp_path / "shards" / "part-010.npz", slice(0, 90))
    with pytest.raises(DatasetError, match=r"part-010\.npz: is another file than when training began"):
        dataset.shards.load(1)
