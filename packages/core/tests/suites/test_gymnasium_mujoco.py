"""Gymnasium's MuJoCo tasks by name: environments for training from scratch."""

import pickle
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from offlow_core.data.validation import DatasetError
from offlow_core.suites import SuiteOptions, TaskNameError, resolve
from offlow_core.suites.catalogue import entries, listed, matching
from offlow_core.suites.mujoco_repairs import margins_add_up


@pytest.mark.parametrize(
    ("name", "observations", "actions", "bound"),
    [
        ("Hopper-v4", 11, 3, 1.0),
        ("Walker2d-v4", 17, 6, 1.0),
        ("HalfCheetah-v5", 17, 6, 1.0),
        ("Ant-v4", 27, 8, 1.0),
        ("Ant-v5", 105, 8, 1.0),
        ("Humanoid-v4", 376, 17, np.float32(0.4)),
        ("HumanoidStandup-v4", 376, 17, np.float32(0.4)),
        ("Reacher-v5", 10, 2, 1.0),
    ],
)
def test_environments_have_their_own_bounds_and_float32_observations(name, observations, actions, bound):
    task = resolve(name)
    env = pickle.loads(pickle.dumps(task.make_environment))()
    assert env.spec.max_episode_steps == task.episode_steps
    assert env.action_space.shape == (actions,)
    assert set(env.action_space.high) == {bound}
    assert set(env.action_space.low) == {-bound}
    first, _ = env.reset(seed=3)
    assert (first.shape, first.dtype) == ((observations,), np.float32)
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(first, again)
    env.close()


@pytest.mark.parametrize("name", ["Ant-v4", "Humanoid-v4"])
def test_quaternions_are_of_unit_length_after_a_reset(name):
    """The quaternion follows the height in the observation (x and y are left out)."""
    env = resolve(name).make_environment()
    observation, _ = env.reset(seed=0)
    assert np.linalg.norm(observation[1:5]) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(observation[1:5], env.unwrapped.data.qpos[3:7], atol=1e-7)
    env.close()


@pytest.mark.skipif(not margins_add_up(), reason="this MuJoCo has the older rule")
def test_contact_margins_are_those_of_the_published_tasks_unless_told():
    margins = {}
    for legacy in (True, False):
        task = resolve("Hopper-v4", SuiteOptions(legacy_contact_margin=legacy))
        env = task.make_environment()
        margins[legacy] = float(env.unwrapped.model.geom_margin.max())
        assert task.semantics()["legacy_contact_margin"] == legacy
        env.close()
    assert margins == {True: 0.0005, False: 0.001}
    assert resolve("Walker2d-v4").semantics()["legacy_contact_margin"] is False  # has no margins


def test_own_data_are_evaluated_in_the_same_environment(capfd):
    for legacy, margin in ((True, 0.0005), (False, 0.001)):
        options = SuiteOptions(dataset_path="x.npz", environment="Hopper-v4", legacy_contact_margin=legacy)
        env = resolve("own/mine", options).make_environment()
        assert env.unwrapped.model.geom_margin.max() == (margin if margins_add_up() else 0.001)
        env.close()
    assert "out of date" not in capfd.readouterr().err


def test_the_score_is_the_return():
    assert resolve("Hopper-v5").score.of(123.0) == 123.0


def test_the_dataset_that_is_not_there_is_explained():
    with pytest.raises(DatasetError, match="an environment without a dataset: train in it from scratch"):
        resolve("Hopper-v4").load_dataset()


def test_they_are_no_datasets_of_the_catalogue():
    assert entries(["Hopper-v4"], SuiteOptions()) == []
    with pytest.raises(TaskNameError, match="Hopper-v4 is an environment without a dataset"):
        matching("Hopper-v4", SuiteOptions())
    assert "gymnasium" not in {entry.suite for entry in listed(SuiteOptions())}


def test_versions_that_cannot_be_made_are_unknown():
    with pytest.raises(TaskNameError, match=r"nearest names are: .*Pusher-v5"):
        resolve("Pusher-v4")


def test_nothing_is_imported_or_said_to_look_a_name_up():
    code = """
import sys
from offlow_core.suites import resolve
resolve("Ant-v4")
assert "mujoco" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_semantics_name_the_simulator():
    semantics = resolve("Ant-v4").semantics()
    assert semantics["versions"]["mujoco"] == mujoco.__version__
    assert semantics["unit_quaternions_at_reset"] is True
