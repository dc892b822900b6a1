"""Rows for another format, by hand; what they become there is checked with the loaders of that format."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from offlow_core import files
from offlow_core.data.d4rl_rows import qlearning_rows
from offlow_core.data.ogbench_rows import read_ogbench_file, regular_rows
from offlow_core.data.own_arrays import read_own_file
from offlow_core.data.recordings import writing
from offlow_core.data.recordings.layouts import LAYOUTS, with_rewards, with_unit_actions
from offlow_core.data.recordings.recording import read_recording
from offlow_core.data.recordings.writing import minari_id, write_recording
from offlow_core.data.transitions import Transitions
from offlow_core.data.validation import DatasetError


def convert(recording, kind, target, **options):
    converted = LAYOUTS[kind](recording)
    write_recording(converted.recording, target, overwrite=options.get("overwrite", False))
    return converted.changes


def with_successors(recording):
    """Successors are the states plus one in the first number, also after the last row of an episode."""
    return replace(recording, next_observations=recording.observations + np.float32([1, 10]))


def pairs(batch) -> list[tuple]:
    """Transitions as numbers: state, successor, reward, mask, end of trajectory."""
    columns = (batch["observations"][:, 0], batch["next_observations"][:, 0], batch["rewards"], batch["masks"])
    return [tuple(float(x) for x in row) for row in zip(*columns, batch["terminals"], strict=True)]


def own_pairs(path):
    transitions = read_own_file(path)
    return pairs(transitions.gather(np.arange(len(transitions))))


# Episode 0 -> 1 -> 2, cut off there; episode 3 -> 4, terminal.
WITHOUT_SUCCESSORS = [(0, 1, 0, 1, 0), (1, 2, 1, 1, 1), (3, 4, 3, 1, 1)]
WITH_SUCCESSORS = [(0, 1, 0, 1, 0), (1, 2, 1, 1, 0), (2, 3, 2, 1, 1), (3, 4, 3, 1, 0), (4, 5, 4, 0, 1)]


@pytest.mark.parametrize("ending", [".npz", ".hdf5"])
def test_own_data_are_kept_as_they_are(recording, tmp_path, ending):
    path = tmp_path / f"x{ending}"
    changes = convert(recording(extras={"qpos": np.arange(5.0), "infos/t": np.arange(5)}), "own", path)
    assert changes == ()
    assert own_pairs(path) == WITHOUT_SUCCESSORS
    again = read_recording(path)
    assert again.extras["infos/qpos"].tolist() == again.extras["infos/t"].tolist() == [0, 1, 2, 3, 4]
    convert(with_successors(recording()), "own", path, overwrite=True)
    assert own_pairs(path) == WITH_SUCCESSORS


def test_successors_that_d4rl_overlooks_are_used_by_own_data(recording, tmp_path):
    changes = convert(with_successors(recording(format="d4rl")), "own", tmp_path / "x.npz")
    assert own_pairs(tmp_path / "x.npz") == WITH_SUCCESSORS
    assert len(changes) == 1
    assert changes[0].startswith("cut-off rows become transitions too")


def test_d4rl_files_keep_transitions_that_end_in_a_cut_off(recording, tmp_path):
    changes = convert(with_successors(recording(extras={"infos/t": np.arange(5)})), "d4rl", tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5") as file:
        raw = {name: file[name][:] for name in file}
    assert raw["observations"][:, 0].tolist() == [0, 1, 2, 3, 3, 4]
    assert raw["timeouts"].tolist() == [False, False, False, True, False, False]
    assert raw["terminals"].tolist() == [False] * 5 + [True]
    assert raw["rewards"].tolist() == [0, 1, 2, 0, 3, 4]
    rows = qlearning_rows(raw["terminals"], raw["timeouts"])
    assert raw["observations"][rows, 0].tolist() == [0, 1, 2, 3]  # D4RL never takes the last row of a file
    assert raw["observations"][rows + 1, 0].tolist() == [1, 2, 3, 4]
    assert changes == (
        "each of 1 cut-off episodes ends with one more row, which holds its last state and nothing else (action and "
        "reward are 0) and is dropped when the file is loaded",
        "the states after 1 terminations are not stored; nothing is learned from them",
        "not carried over: infos/t",
    )


def test_terminations_that_are_marked_cut_off_too_are_kept_in_d4rl(recording, tmp_path):
    both = np.array([0, 0, 1, 0, 0], bool)
    rows = recording((3, 2), (True, False), timeouts=both | recording().timeouts)
    convert(rows, "own", tmp_path / "x.npz")
    changes = convert(rows, "d4rl", tmp_path / "x.hdf5")
    assert changes == (
        "1 row marked both terminal and cut off, kept as terminal only: D4RL would drop it as cut off, and the "
        "termination with it",
    )
    with h5py.File(tmp_path / "x.hdf5") as file:
        terminals, timeouts = file["terminals"][:], file["timeouts"][:]
    kept = qlearning_rows(terminals, timeouts)
    own = read_own_file(tmp_path / "x.npz")
    assert kept.tolist() == own.rows.tolist() == [0, 1, 2, 3]
    assert terminals[kept].tolist() == (own.masks == 0).tolist() == [False, False, True, False]


def test_terminations_that_d4rl_drops_come_back_in_own_data(recording, tmp_path):
    rows = recording((3, 2), (True, False), format="d4rl", timeouts=np.array([0, 0, 1, 0, 1], bool))
    changes = convert(rows, "own", tmp_path / "x.npz")
    assert changes == (
        "1 row marked both terminal and cut off, now a transition: own data count it as terminal, D4RL drops it as cut "
        "off",
    )
    assert (rows.transitions, len(read_own_file(tmp_path / "x.npz"))) == (3, 4)


@pytest.mark.parametrize(("kind", "name"), [("own", "x.npz"), ("minari", "x-v0"), ("ogbench", "x.npz")])
def test_d4rl_rows_with_unknown_borders_are_not_joined(recording, tmp_path, kind, name):
    extras = {"infos/qpos": np.zeros((5, 1)), "infos/qvel": np.zeros((5, 1))}
    nothing = np.zeros(5, bool)
    rows = recording(format="d4rl", timeouts=nothing, terminals=nothing, extras=extras, knows_cut_offs=False)
    with pytest.raises(DatasetError, match=r"file\.npz: the file has no `timeouts`\. .*: name the task with --task"):
        convert(rows, kind, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "name"), [("own", "x.npz"), ("d4rl", "x.hdf5"), ("minari", "x-v0")])
def test_own_rows_with_unknown_borders_are_mentioned(recording, tmp_path, kind, name):
    changes = convert(recording(timeouts=np.zeros(5, bool), knows_cut_offs=False), kind, tmp_path / name)
    assert changes[0].startswith("the file has no `timeouts`: an episode that was cut off runs on into the next")


def test_borders_that_only_successors_show_are_kept_in_minari(recording, tmp_path):
    rows = with_successors(recording((3, 2), (False, False)))
    rows.next_observations[2] += 5
    convert(replace(rows, timeouts=np.zeros(5, bool)), "minari", tmp_path / "toy-v0")
    again = read_recording(tmp_path / "toy-v0")
    assert np.flatnonzero(again.ends).tolist() == [2, 4]
    assert again.next_observations[:, 0].tolist() == [1, 2, 8, 4, 5]


def test_minari_keeps_every_recorded_successor(recording, tmp_path):
    import minari

    changes = convert(with_successors(recording()), "minari", tmp_path / "toy-v0")
    assert changes == ()
    first, second = minari.MinariDataset(tmp_path / "toy-v0" / "data").iterate_episodes()
    assert first.observations[:, 0].tolist() == [0, 1, 2, 3]
    assert second.observations[:, 0].tolist() == [3, 4, 5]
    assert first.truncations.tolist() == [False, False, True]
    assert second.terminations.tolist() == [False, True]
    assert not second.truncations.any()
    assert first.rewards.tolist() == [0, 1, 2]
    again = read_recording(tmp_path / "toy-v0")
    assert (again.format, len(again), again.transitions) == ("minari", 5, 5)


def test_minari_gets_no_invented_successor(recording, tmp_path):
    import minari

    changes = convert(recording((3, 2, 1), (False, True, False)), "minari", tmp_path / "toy-v0")
    dataset = minari.MinariDataset(tmp_path / "toy-v0" / "data")
    first, second = dataset.iterate_episodes()
    assert first.observations[:, 0].tolist() == [0, 1, 2]
    assert first.truncations.tolist() == [False, True]
    assert second.observations[:, 0].tolist() == [3, 4, 4]
    assert second.terminations.tolist() == [False, True]
    assert (dataset.total_episodes, dataset.total_steps) == (2, 4)
    assert dataset.spec.dataset_id == "toy-v0"
    assert changes == (
        "the last action and reward of 2 cut-off episodes are left out: what followed is not known",
        "the states after 1 terminations are not known: those before stand for them",
    )


def test_minari_and_back_keeps_the_transitions(recording, tmp_path):
    convert(recording(), "minari", tmp_path / "toy-v0")
    convert(read_recording(tmp_path / "toy-v0"), "own", tmp_path / "back.npz")
    assert own_pairs(tmp_path / "back.npz") == [(0, 1, 0, 1, 0), (1, 2, 1, 1, 1), (3, 4, 3, 1, 0), (4, 4, 4, 0, 1)]


def test_images_for_minari_are_not_compressed(recording, tmp_path):
    import minari

    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    convert(recording(observations=images), "minari", tmp_path / "toy-v0")
    first, _ = minari.MinariDataset(tmp_path / "toy-v0" / "data").iterate_episodes()
    np.testing.assert_array_equal(first.observations, images[:3])


def test_actions_from_other_bounds(recording):
    rows = recording(actions=np.array([[0, 4], [2, 4], [1, 6], [1, 5], [1, 8]], np.float32))
    found = with_unit_actions(rows, (np.array([0, 4]), np.array([2, 8])))
    assert found.actions.tolist() == [[-1, -1], [1, -1], [0, 0], [0, -0.5], [0, 1]]
    assert with_unit_actions(rows, None) is rows


OGBENCH = {"format": "ogbench", "rewards": None}


def test_rewards_of_a_task_for_ogbench_rows(recording):
    rows = recording((3, 2), (False, False), **OGBENCH)
    transitions = Transitions(
        observations=rows.observations,
        rows=np.array([0, 1, 3], np.int32),
        next_rows=np.array([1, 2, 4], np.int32),
        actions=rows.actions[[0, 1, 3]],
        rewards=np.array([-2, 0, -1], np.float32),
        masks=np.array([1, 0, 1], np.float32),
        terminals=np.array([0, 1, 1], np.float32),
    )
    found = with_rewards(rows, transitions)
    assert found.rewards.tolist() == [-2, 0, 0, -1, 0]
    assert found.terminals.tolist() == [False, True, False, False, False]


def test_ogbench_to_own_and_back(recording, tmp_path):
    state = np.arange(5, dtype=np.float32)[:, None]
    extras = {"qpos": state, "qvel": -state, "button_states": np.arange(5)[:, None]}
    rows = recording((3, 2), (False, False), extras=extras, **OGBENCH | {"rewards": np.zeros(5, np.float32)})
    convert(rows, "own", tmp_path / "own.npz")
    changes = convert(read_recording(tmp_path / "own.npz"), "ogbench", tmp_path / "x.npz")
    file = read_ogbench_file(tmp_path / "x.npz", visual=False, buttons=True)
    assert file.terminals.tolist() == [False, False, True, False, True]
    assert regular_rows(file.terminals)[0].tolist() == [0, 1, 3]
    np.testing.assert_array_equal(file.qpos, state)
    assert file.button_states.dtype == extras["button_states"].dtype
    assert changes == (
        "rewards and terminations are not stored: OGBench computes them for each task when it loads the file",
    )


def test_what_ogbench_cannot_hold(recording, tmp_path):
    state = {"infos/qpos": np.zeros((5, 1)), "infos/qvel": np.zeros((5, 1))}
    for rows, message in [
        (recording(), "there is no `qpos` and no `qvel`"),
        (recording(extras={"qpos": state["infos/qpos"]}), "there is no `qvel`"),
        (recording(extras=state), "1 episodes end with a terminal row, .* the first is row 4"),
        (with_successors(recording(extras=state)), "stores last states in `next_observations` only"),
    ]:
        with pytest.raises(DatasetError, match=message):
            convert(rows, "ogbench", tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "name"), [("own", "x.npz"), ("d4rl", "x.hdf5"), ("minari", "x-v0")])
def test_without_rewards_a_task_is_needed(recording, tmp_path, kind, name):
    with pytest.raises(DatasetError, match="name one with --task NAME"):
        convert(recording(**OGBENCH), kind, tmp_path / name)


def test_own_data_need_actions_in_their_range(recording, tmp_path):
    with pytest.raises(DatasetError, match=r"2 rows have others; row 3 holds \[-2\.\]"):
        convert(recording(actions=np.float32([[0], [0], [1], [-2], [7]])), "own", tmp_path / "x.npz")


def test_long_lists_of_what_is_lost_are_shortened(recording):
    names = tuple(f"metadata/{letter}" for letter in "hgfedcba")
    converted = LAYOUTS["own"](recording(left_out=names))
    assert converted.changes == (
        "not carried over: metadata/a, metadata/b, metadata/c, metadata/d, metadata/e, metadata/f and 2 more",
    )


@pytest.mark.parametrize(("kind", "name"), [("own", "x.npz"), ("own", "x.hdf5"), ("d4rl", "x.h5"), ("minari", "x-v0")])
def test_files_appear_complete_or_not_at_all(recording, tmp_path, monkeypatch, kind, name):
    target = tmp_path / name
    convert(recording(), kind, target)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match="exists; give --overwrite"):
        convert(recording(), kind, target)

    content = [path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()]

    def full(_):
        raise OSError(28, "No space left on device")

    # Many file systems notice only when the bytes have to reach the disk.
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DatasetError, match=r"cannot be written \(.*No space left on device\); nothing was left behind"):
        convert(recording((4, 4), (False, True)), kind, target, overwrite=True)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
    assert [path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()] == content


def test_without_space_nothing_is_begun(recording, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DatasetError, match=r"x\.npz: 130 bytes are needed, but only 100 are free there"):
        convert(recording(), "own", tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_names_that_do_not_fit_the_format(recording, tmp_path):
    for kind, name, message in [
        ("own", "x.csv", r"the format own needs a name with the ending \.npz or \.hdf5 or \.h5"),
        ("d4rl", "x.npz", r"the ending \.hdf5 or \.h5"),
        ("minari", "x.hdf5", r"no ending \(a folder\)"),
    ]:
        with pytest.raises(DatasetError, match=message):
            convert(recording(), kind, tmp_path / name)


def test_overwriting_takes_the_place_of_datasets_only(recording, tmp_path):
    folder = tmp_path / "x-v0"
    (folder / "thesis").mkdir(parents=True)
    with pytest.raises(DatasetError, match="folder of a Minari dataset"):
        convert(recording(), "minari", folder, overwrite=True)
    assert (folder / "thesis").exists()
    convert(recording(), "own", tmp_path / "x.npz")
    rows = read_recording(tmp_path / "x.npz")
    with pytest.raises(DatasetError, match="cannot be written to while it is read"):
        convert(rows, "own", tmp_path / "x.npz", overwrite=True)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DatasetError, match="is a folder"):
        convert(rows, "own", tmp_path / "folder.npz", overwrite=True)


def test_a_minari_dataset_is_replaced(recording, tmp_path):
    convert(recording(), "minari", tmp_path / "x-v0")
    convert(recording((4, 4), (False, True)), "minari", tmp_path / "x-v0", overwrite=True)
    assert len(read_recording(tmp_path / "x-v0")) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["x-v0"]


def test_minari_finds_the_dataset_by_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert minari_id(tmp_path / "mine" / "door" / "human-v0") == "mine/door/human-v0"
    assert minari_id(tmp_path.parent / "elsewhere" / "human-v0") == "human-v0"
