"""robosuite's environments, where that package is installed: the extra `robomimic`."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest

from offlow_core.rendering import RenderingError, require_rendering
from offlow_core.suites import SuiteOptions, resolve
from offlow_core.suites.robomimic_arguments import default_arguments
from offlow_core.suites.robomimic_environment import RobomimicEnvironment
from offlow_core.suites.robomimic_names import all_names, parse

pytestmark = pytest.mark.skipif(importlib.util.find_spec("robosuite") is None, reason="needs the extra `robomimic`")
LIFT = "lift-ph-low_dim"
UP = np.array([0, 0, 1])
# Hand and fingers after 20 equal actions, with robosuite 1.5.1 and MuJoCo 3.3.7, to which nothing is repaired.
HAND = [0.0075251, -0.0789492, 0.8153366, 0.8659844, -0.4547553, -0.0438031, -0.2033469, 0.0088783, -0.0004702]


def make(name: str, folder: Path, **options) -> gymnasium.Env:
    return resolve(name, SuiteOptions(dataset_dir=str(folder), **options)).make_environment()


def roll_out(env: gymnasium.Env, seed: int, steps: int) -> list[tuple]:
    """Random actions, at most until the episode ends."""
    actions = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    rows = []
    for _ in range(steps):
        action = actions.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        following, reward, terminated, _, info = env.step(action)
        rows.append((observation, action, reward, terminated, following))
        assert reward == terminated == info["success"]
        observation = following
        if terminated:
            break
    return rows


def record(path: Path, name: str, env: gymnasium.Env, demonstrations: int, steps: int) -> Path:
    """A file as robomimic's dataset_states_to_obs.py writes it (done at success and at the end), of random actions."""
    path.parent.mkdir(parents=True)
    parts = parse(name).family.parts
    splits = np.cumsum(list(parts.values()))[:-1]
    arguments = {"env_name": parse(name).family.environment, "env_version": "1.5.1", "type": 1}
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(arguments | {"env_kwargs": default_arguments(parse(name))}, indent=4)
        for number in range(demonstrations):
            columns = [np.array(column) for column in zip(*roll_out(env, number, steps), strict=True)]
            observations, actions, rewards, dones, following = columns
            group = data.create_group(f"demo_{number}")
            dones[-1] = True
            group["actions"], group["rewards"] = actions.astype(np.float64), rewards
            group["dones"] = dones.astype(np.int64)
            for kind, values in (("obs", observations), ("next_obs", following)):
                for part, array in zip(parts, np.split(values.astype(np.float64), splits, axis=1), strict=True):
                    group[f"{kind}/{part}"] = array
    return path


@pytest.mark.parametrize("name", [name for name in all_names() if name.endswith("-ph-low_dim")])
def test_every_environment_runs_and_repeats_itself(tmp_path, name):
    env = make(name, tmp_path)
    assert env.observation_space.shape == (parse(name).family.observation_width,)
    assert (env.action_space.low.min(), env.action_space.high.max()) == (-1, 1)
    np.random.seed(5)  # noqa: NPY002 (that the environment leaves it alone)
    expected = np.random.RandomState(5).rand()
    first = roll_out(env, 3, 4)
    again, other = roll_out(make(name, tmp_path), 3, 4), roll_out(env, 4, 4)
    assert np.random.rand() == expected  # noqa: NPY002
    for row, repeated in zip(first, again, strict=True):
        assert row[0].dtype == row[4].dtype == np.float32
        assert env.observation_space.contains(row[4])
        np.testing.assert_array_equal(row[4], repeated[4])
    assert not np.array_equal(first[0][0], other[0][0])
    np.testing.assert_array_equal(roll_out(env, 3, 4)[-1][4], first[-1][4])  # after another episode, too
    env.close()


def test_robosuite_computes_what_it_did_with_mujoco_3(tmp_path):
    env = make(LIFT, tmp_path)
    env.reset(seed=0)
    rows = [env.step(np.float32([0.5, -0.3, -0.8, 0.2, 0.1, -0.4, 1]))[0] for _ in range(20)]
    env.close()
    np.testing.assert_allclose(rows[-1][:9], HAND, atol=1e-4)


def test_episodes_end_at_the_time_limit(tmp_path):
    env = make(LIFT, tmp_path)
    env.reset(seed=0)
    ends = [env.step(np.zeros(7, np.float32))[2:4] for _ in range(300)]
    env.close()
    assert ends == [(False, False)] * 299 + [(False, True)]


def test_lifting_the_cube_solves_the_task_and_ends_the_episode(tmp_path):
    """Above the cube, down, grasp, up: by the positions that are observed."""
    env = make(LIFT, tmp_path)
    observation, _ = env.reset(seed=0)
    for step in range(150):
        hand, cube = observation[:3], observation[9:12]
        target = cube + UP * (0.1 if step < 25 else 0) if step < 60 else hand + UP * 0.05
        action = np.zeros(7, np.float32)
        action[:3], action[6] = np.clip((target - hand) * 10, -1, 1), 1 if step >= 45 else -1
        observation, reward, terminated, truncated, info = env.step(action)
        if terminated:
            break
    env.close()
    assert (reward, terminated, truncated, info) == (1.0, True, False, {"success": True})
    assert step > 60


def test_a_recorded_file_is_loaded_as_it_happened(tmp_path):
    env = make(LIFT, tmp_path)
    path = record(tmp_path / "lift" / "ph" / "low_dim_v15.hdf5", LIFT, env, demonstrations=2, steps=5)
    env.close()
    task = resolve(LIFT, SuiteOptions(dataset_dir=str(tmp_path)))
    assert task.files() == {"train": path}
    transitions = task.load_dataset().train
    assert transitions.terminals.tolist() == [0, 0, 0, 0, 1] * 2
    assert transitions.rewards.tolist() == [-1] * 10
    # The environment as the file describes it repeats the demonstrations.
    env = task.make_environment()
    batch = transitions.gather(np.arange(10))
    for number in range(2):
        observation, _ = env.reset(seed=number)
        for row in range(5 * number, 5 * number + 5):
            np.testing.assert_array_equal(observation, batch["observations"][row])
            observation = env.step(batch["actions"][row])[0]
            np.testing.assert_allclose(observation, batch["next_observations"][row], atol=1e-5)
    env.close()
    assert task.semantics()["environment_arguments_from"] == "dataset"


def test_pictures_show_the_robot(tmp_path):
    try:
        require_rendering()
    except RenderingError as error:
        pytest.skip(str(error))
    env = RobomimicEnvironment(parse(LIFT), SuiteOptions(dataset_dir=str(tmp_path)))("rgb_array")
    env.reset(seed=0)
    before = env.render()
    for _ in range(10):
        env.step(np.ones(7, np.float32))
    after = env.render()
    env.reset(seed=1)  # with a new model
    assert env.render().shape == before.shape == (256, 256, 3)
    assert before.std() > 20
    assert np.abs(before.astype(int) - after).mean() > 1
    env.close()


def test_frames_are_stacked(tmp_path):
    env = make(LIFT, tmp_path, frame_stack=2)
    assert env.reset(seed=0)[0].shape == (2 * 19,)
    env.close()


def test_robosuite_says_nothing(tmp_path):
    """In a process of its own, for most of its notices come when it is imported."""
    script = f"from offlow_core.suites import resolve; env = resolve({LIFT!r}).make_environment(); env.reset(seed=0)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert not any(tmp_path.iterdir())  # no log, either
