"""Files of every format as rows, and how those are told apart."""

import json

import h5py
import numpy as np
import pytest

from offlow_core.data.own_arrays import read_own_file
from offlow_core.data.recordings.fields import read_fields
from offlow_core.data.recordings.recording import lay_out, read_recording, structural_faults
from offlow_core.data.recordings.summary import summarize_recording
from offlow_core.data.validation import DatasetError
from offlow_core.suites import SuiteOptions, resolve

STATES = np.arange(10, dtype=np.float32).reshape(5, 2)
OWN = {
    "observations": STATES,
    "actions": np.zeros((5, 1), np.float32),
    "rewards": np.arange(5, dtype=np.float32)[:, None],
    "terminals": np.array([0, 0, 1, 0, 0]),
    "timeouts": np.array([0, 0, 0, 0, 1], bool),
}


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values
    return path


def minari(folder, *episodes, **metadata):
    """Episodes are (observations, terminated); actions and rewards count steps."""
    data = folder / "data"
    data.mkdir(parents=True)
    with h5py.File(data / "main_data.hdf5", "w") as file:
        for k, (observations, terminated) in enumerate(episodes):
            steps = len(observations) - 1
            last = np.arange(steps) == steps - 1
            group = file.create_group(f"episode_{k}")
            group["observations"] = observations
            group["actions"] = np.zeros((steps, 1), np.float32)
            group["rewards"] = np.arange(steps, dtype=np.float64)
            group["terminations"] = last & terminated
            group["truncations"] = last & (not terminated)
            group["infos/speed"] = np.zeros(steps + 1)
    (data / "metadata.json").write_text(json.dumps({"data_format": "hdf5", **metadata}))
    return folder


@pytest.mark.parametrize("write", [npz, hdf5])
def test_own_arrays(tmp_path, write):
    recording = read_recording(write(tmp_path / "file.npz", **OWN))  # recognised by its content, not by its name
    assert recording.format == "own"
    assert recording.rewards.tolist() == [0, 1, 2, 3, 4]
    assert recording.terminals.tolist() == [False, False, True, False, False]
    assert recording.ends.tolist() == [False, False, True, False, True]
    assert recording.transitions == 4  # D4RL's rule: the cut-off row has no successor


def test_rows_both_terminal_and_cut_off_count_as_each_loader_counts_them(tmp_path):
    arrays = OWN | {"timeouts": np.array([0, 0, 1, 0, 1], bool)}
    own = read_recording(npz(tmp_path / "x.npz", **arrays))
    assert own.cut_off.tolist() == [False, False, False, False, True]
    assert own.transitions == len(read_own_file(tmp_path / "x.npz")) == 4
    d4rl = read_recording(hdf5(tmp_path / "x.hdf5", **arrays, infos__t=np.arange(5)))
    assert d4rl.cut_off.tolist() == [False, False, True, False, True]
    assert d4rl.transitions == 3
    assert [(found.terminal_ends, found.cut_off_ends) for found in map(summarize_recording, (own, d4rl))] == [
        (1, 1),
        (0, 2),
    ]


def test_steps_are_counted_where_nothing_marks_cut_offs(tmp_path):
    arrays = {name: values for name, values in OWN.items() if name != "timeouts"}
    own, d4rl = npz(tmp_path / "x.npz", **arrays), hdf5(tmp_path / "x.hdf5", **arrays, infos__t=np.arange(5))
    for path in (own, d4rl):
        unknown, counted = read_recording(path), read_recording(path, step_limit=2)
        assert (unknown.knows_cut_offs, counted.knows_cut_offs) == (False, True)
        assert np.flatnonzero(unknown.timeouts).tolist() == []
        # Counts: 0 1(cut) | 0(terminal) | 1(cut) | 0
        assert np.flatnonzero(counted.timeouts).tolist() == [1, 3]
        assert np.flatnonzero(counted.ends).tolist() == [1, 2, 3, 4]
    marked = read_recording(npz(tmp_path / "y.npz", **OWN), step_limit=2)
    assert np.flatnonzero(marked.timeouts).tolist() == [4]


def test_own_data_with_successors_need_no_count_of_steps(tmp_path):
    arrays = {name: values for name, values in OWN.items() if name != "timeouts"}
    recording = read_recording(npz(tmp_path / "x.npz", **arrays, next_observations=STATES + 2), step_limit=2)
    assert recording.knows_cut_offs
    assert not recording.timeouts.any()


def test_d4rl_files_have_further_arrays_and_strings(tmp_path):
    names = np.array([b"a", b"b"], object)
    path = hdf5(tmp_path / "x.hdf5", **OWN, infos__qpos=STATES, infos__names=names, metadata__size=np.zeros(2))
    recording = read_recording(path)
    assert recording.format == "d4rl"
    assert list(recording.extras) == ["infos/qpos"]
    assert recording.left_out == ("infos/names", "metadata/size")
    assert recording.nbytes == 5 * (8 + 4 + 4 + 1 + 1 + 8)


def test_ogbench_files_have_no_rewards_and_mark_recorded_ends_only(tmp_path):
    arrays = {name: OWN[name] for name in ("observations", "actions", "terminals")}
    path = npz(tmp_path / "x.npz", **arrays | {"terminals": np.array([0, 0, 1, 0, 1])}, qpos=STATES, qvel=STATES)
    recording = read_recording(path)
    assert (recording.format, recording.rewards) == ("ogbench", None)
    assert recording.timeouts.tolist() == recording.ends.tolist() == [False, False, True, False, True]
    assert not recording.terminals.any()
    assert recording.transitions == 3
    assert set(recording.extras) == {"qpos", "qvel"}


def test_minari_episodes_have_one_observation_more_than_steps(tmp_path):
    folder = minari(tmp_path / "x-v0", (STATES[:3], True), (STATES[2:], False), total_episodes=2, total_steps=4)
    recording = read_recording(folder)
    assert recording.format == "minari"
    assert recording.observations[:, 0].tolist() == [0, 2, 4, 6]
    assert recording.next_observations[:, 0].tolist() == [2, 4, 6, 8]
    assert recording.terminals.tolist() == [False, True, False, False]
    assert recording.timeouts.tolist() == [False, False, False, True]
    assert recording.transitions == 4
    assert recording.left_out == ("infos/speed",)
    for path in (folder / "data", folder / "data" / "main_data.hdf5"):
        assert read_recording(path).observations.tolist() == recording.observations.tolist()


def test_observations_of_several_parts_are_put_one_after_another(tmp_path):
    with h5py.File(tmp_path / "main_data.hdf5", "w") as file:
        for name, values in (("b", STATES[:2]), ("a", STATES[:2, :1])):
            file[f"episode_0/observations/{name}"] = values
        file["episode_0/actions"], file["episode_0/rewards"] = np.zeros((1, 1), np.float32), np.zeros(1)
        file["episode_0/terminations"], file["episode_0/truncations"] = [False], [True]
    assert read_recording(tmp_path).observations.tolist() == [[0, 0, 1]]


def test_parts_are_in_the_order_that_training_has_them_in(tmp_path):
    def box(width):
        return {"type": "Box", "dtype": "float64", "shape": [width], "low": [-9] * width, "high": [9] * width}

    # As whole words, `a-b` comes before `a/x`, and `a.b` before both.
    space = {"a-b": box(1), "a": {"type": "Dict", "subspaces": {"y": box(1), "x": box(1)}}, "a.b": box(1)}
    folder = minari(
        tmp_path / "x-v0",
        (STATES[:2], False),
        total_episodes=1,
        total_steps=1,
        observation_space=json.dumps({"type": "Dict", "subspaces": space}),
        action_space=json.dumps(box(1)),
    )
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        group = file["episode_0"]
        del group["observations"], group["infos"]
        for number, name in enumerate(("a/x", "a/y", "a-b", "a.b")):
            group[f"observations/{name}"] = np.full((2, 1), float(number))
    task = resolve("mine/x-v0", SuiteOptions(dataset_path=str(folder)))
    trained = task.load_dataset().train.gather(np.array([0]))["observations"]
    assert read_recording(folder).observations.tolist() == trained.tolist() == [[0, 1, 2, 3]]


def test_a_minari_episode_that_does_not_fit_is_named_and_the_others_are_read(tmp_path):
    folder = minari(tmp_path / "x", (STATES[:3], True), (STATES, False), total_episodes=3, total_steps=6)
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        del file["episode_0/rewards"]
        file["episode_0/rewards"] = np.zeros(7)
        del file["episode_1/infos"]
    faults = []
    fields = read_fields(folder, faults.append)
    assert [str(fault).partition(": ")[2] for fault in faults] == [
        "`episode_0/rewards` must have 2 rows beside 2 actions, got the shape (7,).",
        "metadata.json promises 3 episodes, but there are 2.",
        "metadata.json promises 6 steps, but there are 4.",
    ]
    assert len(lay_out(fields)) == 4
    with pytest.raises(DatasetError, match="episode_0/rewards"):
        read_recording(folder)


def test_a_missing_minari_episode_is_noticed(tmp_path):
    folder = minari(tmp_path / "x", (STATES[:3], True), (STATES, False), total_episodes=2, total_steps=6)
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        del file["episode_0"]
    with pytest.raises(DatasetError, match=r"must be numbered 0 to 1, but episode 0 is missing"):
        read_recording(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b"\n<!DOCTYPE html><html>404", "got a web page"),
        (b"name,value\n1,2\n", "got one that begins with b'name,val'"),
        (b"PK\x03\x04 cut off", r"the archive cannot be read .* damaged"),
        (b"\x89HDF\r\n\x1a\n cut off", "the file cannot be read"),
    ],
)
def test_files_that_are_no_dataset(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as error:
        read_recording(path)
    assert str(path) in str(error.value)


def test_unknown_layouts_name_the_known_ones(tmp_path):
    with pytest.raises(DatasetError, match=r"no known format \(d4rl .*own .*the file holds states"):
        read_recording(npz(tmp_path / "x.npz", states=STATES))
    with pytest.raises(DatasetError, match="robomimic"):
        read_recording(hdf5(tmp_path / "x.hdf5", data__demo_0__actions=STATES))
    with pytest.raises(DatasetError, match=r"folder of a Minari dataset"):
        read_recording(tmp_path)
    with pytest.raises(DatasetError, match="there is no such file"):
        read_recording(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"rewards": None},
            "the field `rewards` is missing; the file holds actions, observations, terminals, timeouts.",
        ),
        ({"actions": np.zeros((0, 1), np.float32)}, "`actions` must have at least one row, got the shape (0, 1)."),
        ({"actions": np.zeros(5, np.float32)}, "`actions` must have the shape (5, any), one row per action, got (5,)."),
        ({"actions": np.zeros((5, 1), int)}, "`actions` must hold floating-point numbers, got int64."),
        (
            {"observations": STATES.astype(int)},
            "`observations` must hold floating-point numbers or uint8 images, got int64.",
        ),
        ({"rewards": np.zeros(4)}, "`rewards` must have the shape (5,), one row per action, got (4,)."),
        ({"rewards": np.array(["1"] * 5)}, "`rewards` must hold numbers, got <U1."),
        ({"terminals": np.arange(5)}, "`terminals` must hold 0 and 1, but row 2 holds 2 (3 such rows)."),
        (
            {"next_observations": STATES[:, :1]},
            "`next_observations` must have the shape (5, 2) of `observations`, got (5, 1).",
        ),
    ],
)
def test_faults_of_structure(tmp_path, change, fault):
    arrays = {name: values for name, values in (OWN | change).items() if values is not None}
    fields = read_fields(npz(tmp_path / "x.npz", **arrays))
    assert list(structural_faults(fields)) == [fault]
    with pytest.raises(DatasetError, match=r"x\.npz: `|x\.npz: the field"):
        lay_out(fields)


def test_all_faults_of_structure_are_named(tmp_path):
    path = npz(tmp_path / "x.npz", observations=STATES[:3], actions=OWN["actions"], terminals=np.full(5, 2))
    assert len(list(structural_faults(read_fields(path)))) == 3


def test_goals_inside_of_episodes_end_none(recording):
    goals = np.array([0, 1, 1, 1, 0, 0, 1, 1], bool)
    found = recording((5, 3), (False, False), terminals=goals)
    assert found.goals_lie_inside
    assert np.flatnonzero(found.ends).tolist() == [4, 7]


def test_terminal_rows_far_from_each_other_end_episodes(recording):
    found = recording((2, 3, 1, 4), (True, True, True, False))
    assert not found.goals_lie_inside
    assert np.flatnonzero(found.ends).tolist() == [1, 4, 5, 9]


def test_where_nothing_is_cut_off_every_terminal_row_ends_an_episode(recording):
    found = recording((1, 1, 1, 2), (True, True, True, True))
    assert np.flatnonzero(found.ends).tolist() == [0, 1, 2, 4]


def test_own_data_end_an_episode_where_the_next_row_is_not_the_successor(recording):
    states = np.array([[0.0], [1.0], [2.0], [7.0], [8.0]])
    successors = np.array([[1.0], [2.0], [3.0], [8.0], [9.0]])
    nothing = np.zeros(5, bool)
    found = recording(observations=states, next_observations=successors, terminals=nothing, timeouts=nothing)
    assert found.breaks.tolist() == [False, False, True, False, False]
    assert found.ends.tolist() == [False, False, True, False, True]
    assert found.transitions == 5
