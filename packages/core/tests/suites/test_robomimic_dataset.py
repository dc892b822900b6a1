"""Loading hand-made files of robomimic's layout: order, rewards, ends, arguments of the environment, and refusals."""

import json
import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError
from offlow_core.suites import SuiteOptions, resolve, robomimic_download
from offlow_core.suites.fitted_environment import UnusableEnvironmentError
from offlow_core.suites.robomimic_arguments import default_arguments
from offlow_core.suites.robomimic_names import FAMILIES, all_names, parse
from offlow_core.suites.score import SUCCESS

LIFT = "lift-mh-low_dim"
STEPS = 3


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path) -> None:
    """Neither the network nor the data of whoever runs the tests."""
    monkeypatch.setenv("OFFLOW_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def env_args(name: str = LIFT, **changes) -> dict:
    """As in robomimic's own files."""
    pictures = {"has_renderer": False, "camera_heights": 84, "ignore_done": True, "reward_shaping": False}
    arguments = default_arguments(parse(name)) | pictures | changes
    return {"env_name": parse(name).family.environment, "env_version": "1.5.1", "type": 1, "env_kwargs": arguments}


def demonstration(number: int, name: str = LIFT) -> dict[str, np.ndarray]:
    """Row i of demonstration k observes 10 k + i, part after part plus a hundredth; the last row solves the task."""
    family = parse(name).family
    rows = 10.0 * number + np.arange(STEPS + 1)
    arrays = {
        "actions": np.tile(np.linspace(-1, 1, family.action_width), (STEPS, 1)),
        "rewards": np.eye(STEPS)[-1],
        "dones": np.eye(STEPS, dtype=np.int64)[-1],
        "states": np.zeros((STEPS, 5)),
    }
    for place, (part, width) in enumerate(family.parts.items()):
        values = np.repeat(rows[:, None] + place / 100, width, axis=1)
        arrays[f"obs/{part}"], arrays[f"next_obs/{part}"] = values[:-1], values[1:]
    return arrays


def write(path: Path, name: str = LIFT, numbers: tuple[int, ...] = (0, 10, 2), args: object = "own", **changes) -> Path:
    """A file in which arrays of demonstration 2 are changed, or left out (None); slashes are written __."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        if args is not None:
            data.attrs["env_args"] = json.dumps(env_args(name)) if args == "own" else args
        for number in numbers:
            arrays = demonstration(number, name)
            if number == 2:
                arrays |= {field.replace("__", "/"): values for field, values in changes.items()}
            group = data.create_group(f"demo_{number}")
            for field, values in arrays.items():
                if values is not None:
                    group[field] = values
        file["mask/train"] = np.array([b"demo_0"])
    return path


def load(name: str = LIFT, **options) -> Dataset:
    return resolve(name, SuiteOptions(**options)).load_dataset()


def train(path: Path, name: str = LIFT) -> Transitions:
    return load(name, dataset_path=str(path)).train


def test_demonstrations_come_in_the_order_of_their_numbers(tmp_path):
    transitions = train(write(tmp_path / "data.hdf5"))
    batch = transitions.gather(np.arange(9))
    assert batch["observations"][:, 0].tolist() == [0, 1, 2, 20, 21, 22, 100, 101, 102]
    assert batch["next_observations"][:, 0].tolist() == [1, 2, 3, 21, 22, 23, 101, 102, 103]
    assert len(transitions.observations) == 9 + 3  # the last successor of each is no row
    assert transitions.rewards.tolist() == [-1, -1, 0] * 3
    assert transitions.masks.tolist() == [1, 1, 0] * 3
    assert transitions.terminals.tolist() == [0, 0, 1] * 3
    assert transitions.actions.max() == -transitions.actions.min() == np.float32(1 - 1e-5)


def test_the_parts_of_an_observation_have_their_order(tmp_path):
    observation = train(write(tmp_path / "data.hdf5")).observations[1]
    assert observation.dtype == np.float32
    expected = [1.0] * 3 + [1.01] * 4 + [1.02] * 2 + [1.03] * 10  # position, orientation, fingers, object
    np.testing.assert_array_equal(observation, np.float32(expected))


def test_a_task_that_stays_solved_has_several_ends_and_one_that_fails_is_cut_off(tmp_path):
    solved = write(tmp_path / "solved.hdf5", dones=np.int64([0, 1, 1]), rewards=np.float64([0, 1, 1]))
    transitions = train(solved)
    assert transitions.masks[3:6].tolist() == [1, 0, 0]
    assert transitions.terminals[3:6].tolist() == [0, 1, 1]
    assert transitions.rewards[3:6].tolist() == [-1, 0, 0]
    failed = train(write(tmp_path / "failed.hdf5", dones=np.int64([0, 0, 0]), rewards=np.zeros(3)))
    assert (failed.masks[5], failed.terminals[5], failed.rewards[5]) == (1, 1, -1)
    assert failed.gather(np.array([5]))["next_observations"][0, 0] == 23


@pytest.mark.parametrize("name", all_names())
def test_every_task_loads_a_file_of_its_widths(tmp_path, name):
    transitions = train(write(tmp_path / "data.hdf5", name), name)
    family = parse(name).family
    assert transitions.observations.shape == (12, family.observation_width)
    assert transitions.actions.shape == (9, family.action_width)


def test_tasks_and_their_limits():
    found = {name: resolve(name) for name in all_names()}
    assert len(found) == 2 * len(FAMILIES) - 1  # of tool_hang there are no demonstrations of several people
    assert {task.episode_steps for name, task in found.items() if name.startswith(("lift", "can"))} == {300}
    assert found["square-mh-low_dim"].episode_steps == 400
    assert {task.suite for task in found.values()} == {"robomimic"}
    assert {task.reward_shift for task in found.values()} == {-1.0}
    assert all(task.score == SUCCESS and task.canonical_name == name for name, task in found.items())
    assert found[LIFT].rewards(np.float32([0, 1])).tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": None}, "the field `data/demo_2/actions` is missing"),
        ({"rewards": None}, "the field `data/demo_2/rewards` is missing"),
        ({"dones": None}, "the field `data/demo_2/dones` is missing"),
        ({"obs__object": None}, "the field `data/demo_2/obs/object` is missing"),
        ({"next_obs__robot0_eef_quat": None}, "the field `data/demo_2/next_obs/robot0_eef_quat` is missing"),
        (
            {"actions": np.zeros((3, 6))},
            r"`data/demo_2/actions` must have shape \(any, 7\) as Lift has it, got \(3, 6\)",
        ),
        ({"actions": np.zeros((0, 7))}, "`data/demo_2` must hold at least one step"),
        ({"actions": np.zeros((3, 7), np.int64)}, "`data/demo_2/actions` must hold floating-point numbers, got int64"),
        ({"actions": np.full((3, 7), 1.5)}, r"`data/demo_2/actions` must lie in \[-1, 1\], but row 0 holds"),
        ({"actions": np.full((3, 7), np.nan)}, "`data/demo_2/actions` must hold finite numbers, but row 0"),
        ({"dones": np.zeros(4)}, r"`data/demo_2/dones` must have shape \(3,\) \(one per action\), got \(4,\)"),
        ({"dones": np.int64([0, 2, 1])}, "`data/demo_2/dones` must hold 0 and 1, but row 1 holds 2"),
        ({"rewards": np.float64([0, 0.3, 1])}, r"`data/demo_2/rewards` must hold 0 and 1, but row 1 holds 0\.3"),
        ({"rewards": np.float64([0, np.nan, 1])}, "`data/demo_2/rewards` must hold 0 and 1, but row 1 holds nan"),
        ({"obs__object": np.zeros((3, 14))}, r"`data/demo_2/obs/object` must have shape \(3, 10\) as Lift has it"),
        ({"next_obs__object": np.zeros((2, 10))}, r"`data/demo_2/next_obs/object` must have shape \(3, 10\)"),
        ({"obs__robot0_eef_pos": np.full((3, 3), np.inf)}, "`data/demo_2/obs/robot0_eef_pos` must hold finite numbers"),
        ({"numbers": ()}, "the group `data` must hold demonstrations"),
        ({"args": None}, "the group `data` must have the attribute `env_args`"),
        ({"args": "{"}, "the attribute `env_args` of `data` is no JSON"),
        ({"args": "[]"}, r"the attribute `env_args` of `data` must be a JSON object, got \[\]"),
        (
            {"args": json.dumps(env_args("can-mh-low_dim"))},
            "lift-mh-low_dim needs .* of Lift, but .* says PickPlaceCan",
        ),
        ({"args": json.dumps(env_args() | {"env_version": "1.4.1"})}, "made for robosuite 1.5, but .* says 1.4.1"),
        ({"args": json.dumps(env_args() | {"env_version": None})}, "made for robosuite 1.5, but .* says None"),
        ({"args": json.dumps(env_args() | {"env_kwargs": {}})}, "must have `env_kwargs` with robots and"),
        ({"args": json.dumps(env_args(table_offset=[0, 0, 1]))}, "changes the environment by table_offset"),
        ({"args": json.dumps(env_args(robots=["../evil.xml"]))}, r"has '../evil\.xml' where a name is expected"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, changes, message):
    path = write(tmp_path / "data.hdf5", **changes)
    with pytest.raises(DatasetError, match=message) as error:
        train(path)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 600  # a file has thousands of fields, which are not listed


def test_an_empty_demonstration_is_not_passed_over(tmp_path):
    path = write(tmp_path / "data.hdf5")
    with h5py.File(path, "a") as file:
        file["data"].create_group("demo_11")
    with pytest.raises(DatasetError, match="the field `data/demo_11/actions` is missing"):
        train(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "this is a web page"),
        (b"", "the file cannot be read"),
        (None, "the file cannot be read .* cut off"),
    ],
    ids=["web page", "empty", "cut off"],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    path = write(tmp_path / "data.hdf5")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    with pytest.raises(DatasetError, match=rf"data\.hdf5: .*{message}"):
        train(path)


def test_a_file_of_another_layout_is_refused(tmp_path):
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        file["observations"] = np.zeros((3, 19))
    with pytest.raises(DatasetError, match=r"data\.hdf5: the group `data` is missing"):
        train(tmp_path / "data.hdf5")


def test_files_lie_in_robomimics_folders(tmp_path):
    usual = tmp_path / "home" / ".robomimic" / "lift" / "mh" / "low_dim_v15.hdf5"
    assert resolve(LIFT).files() == {"train": usual}
    assert resolve(LIFT).fetch is not None
    write(usual)
    assert load().origin["source"] == "cache"
    write(tmp_path / "mine" / "square" / "ph" / "low_dim_v15.hdf5", "square-ph-low_dim", numbers=(0,))
    assert len(load("square-ph-low_dim", dataset_dir=str(tmp_path / "mine")).train) == 3


def test_offline_the_error_names_the_addresses_and_the_target(tmp_path):
    with pytest.raises(DatasetError, match="downloads are switched off") as error:
        load(dataset_dir=str(tmp_path))
    message = str(error.value)
    for root in robomimic_download.ROOTS:
        assert f"{root}/lift/mh/low_dim_v15.hdf5\n" in message
    assert message.endswith(f"\n  {tmp_path}/lift/mh/low_dim_v15.hdf5")


def test_the_environment_is_made_as_the_file_says(tmp_path):
    """Without robosuite: what would be handed to it."""
    make = resolve(LIFT, SuiteOptions(dataset_dir=str(tmp_path))).make_environment
    assert pickle.loads(pickle.dumps(make)) == make
    assert make.arguments() == ("defaults", default_arguments(parse(LIFT)))
    write(tmp_path / "lift" / "mh" / "low_dim_v15.hdf5", args=json.dumps(env_args(control_freq=10)))
    source, arguments = make.arguments()
    assert source == "dataset"
    assert arguments == default_arguments(parse(LIFT)) | {"control_freq": 10}


def test_the_manifest_tells_how_the_environment_is_made(tmp_path):
    options = SuiteOptions(dataset_path=str(write(tmp_path / "data.hdf5")))
    told = json.loads(json.dumps(resolve(LIFT, options).semantics()))
    assert told["environment_arguments_from"] == "dataset"
    assert told["environment_arguments"]["controller_configs"]["body_parts"]["right"]["input_ref_frame"] == "world"
    assert told["observations"] == ["robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos", "object"]
    assert set(told["versions"]) == {"robosuite", "mujoco", "gymnasium"}


def test_without_robosuite_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "robosuite", None)  # importing it fails
    with pytest.raises(UnusableEnvironmentError, match=r"offlow-core\[robomimic\]"):
        resolve(LIFT).make_environment()
