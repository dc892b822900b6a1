import pickle
from pathlib import Path

import pytest

from offlow_core.suites import SuiteOptions, TaskNameError, catalogue, resolve

FILES = Path(__file__).parent / "files"
CUBE = "cube-single-play-singletask-v0"


def names(entries) -> list[tuple[str, ...]]:
    return [entry.names for entry in entries]


def test_a_task_knows_where_its_files_are_whether_they_exist_or_not(tmp_path):
    task = resolve(CUBE, SuiteOptions(dataset_dir=str(tmp_path)))
    assert pickle.loads(pickle.dumps(task)).files() == {
        "train": tmp_path / "cube-single-play-v0.npz",
        "validation": tmp_path / "cube-single-play-v0-val.npz",
    }


def test_own_files_take_the_place_of_the_suites(tmp_path):
    excerpt = FILES / "cube-single-play-excerpt.npz"
    task = resolve(CUBE, SuiteOptions(dataset_path=str(excerpt)))
    expected = [excerpt, FILES / "cube-single-play-excerpt-val.npz"]
    assert list(task.files().values()) == expected
    assert task.fetch() == expected


def test_tasks_that_share_files_are_one_dataset(tmp_path):
    options = SuiteOptions(dataset_dir=str(tmp_path))
    found = catalogue.entries(["hopper-medium-v2", CUBE, "cube-single-play-singletask-task1-v0", CUBE], options)
    assert names(found) == [("hopper-medium-v2",), (CUBE, "cube-single-play-singletask-task1-v0")]
    assert [entry.suite for entry in found] == ["d4rl", "ogbench"]
    assert found[0].files == (tmp_path / "hopper_medium-v2.hdf5",)


def test_every_listed_dataset_has_files_of_its_own():
    listed = catalogue.listed(SuiteOptions())
    files = [path for entry in listed for path in entry.files]
    assert len(set(files)) == len(files)
    assert all(entry.files and entry.task.fetch is not None for entry in listed)


def test_an_entry_knows_what_is_on_this_machine(tmp_path):
    (tmp_path / "cube-single-play-v0.npz").write_bytes(b"12345")
    [entry] = catalogue.entries([CUBE], SuiteOptions(dataset_dir=str(tmp_path)))
    assert (entry.is_cached, entry.present_bytes, len(entry.present)) == (False, 5, 1)
    (tmp_path / "cube-single-play-v0-val.npz").write_bytes(b"123")
    assert (entry.is_cached, entry.present_bytes) == (True, 8)
    assert catalogue.total_bytes([entry, entry]) == 16


def test_a_word_is_a_suite_a_pattern_or_one_name():
    options = SuiteOptions()
    assert {entry.suite for entry in catalogue.matching("d4rl", options)} == {"d4rl"}
    assert names(catalogue.matching("walker2d-medium-*v2", options)) == [
        ("walker2d-medium-v2",),
        ("walker2d-medium-replay-v2",),
        ("walker2d-medium-expert-v2",),
    ]
    assert names(catalogue.matching(CUBE, options)) == [(CUBE,)]
    # Half a name is no name where it decides what is downloaded, but it is where one only looks.
    with pytest.raises(TaskNameError, match="unknown task 'walker2d-medium'"):
        catalogue.matching("walker2d-medium", options)
    assert len(catalogue.filtered("walker2d-medium", options)) == 3


@pytest.mark.parametrize("function", [catalogue.matching, catalogue.filtered])
def test_patterns_that_fit_nothing(function):
    with pytest.raises(TaskNameError, match=r"no suite and no task fits 'walker3d-\*'; the suites are: ogbench, d4rl"):
        function("walker3d-*", SuiteOptions())
