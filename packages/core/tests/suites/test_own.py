import pickle
import sys

import gymnasium
import numpy as np
import pytest

from offlow_core.data.validation import DatasetError
from offlow_core.evaluation import Evaluator
from offlow_core.suites import own, resolve
from offlow_core.suites.fitted_environment import UnitActions, UnusableEnvironmentError, fitted
from offlow_core.suites.named_environment import NamedEnvironment
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.score import RETURN

CUBE = "cube-single-play-singletask-task2-v0"

# A file as a user would have it in the current folder. `Push` moves a point by half of the action, at most 3 wide.
MODULE = """
import gymnasium
import numpy as np

class Push(gymnasium.Env):
    action_space = gymnasium.spaces.Box(-3.0, 3.0, (1,), np.float32)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = np.append(self.np_random.normal(), np.random.normal()), 0
        return self.place, {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        self.place = self.place + np.array([action[0] / 2, np.random.normal()])
        return self.place, float(action[0]), False, self.steps == 4, {"success": self.place[0] > 0}

    def render(self):
        return np.zeros((8, 8, 3), np.uint8)

class Images(Push):
    observation_space = gymnasium.spaces.Box(0, 255, (4, 4, 1), np.uint8)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full((4, 4, 1), 7, np.uint8), {}

class Unbounded(Push):
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)

class Chosen(Push):
    action_space = gymnasium.spaces.Discrete(3)

class Named(Push):
    observation_space = gymnasium.spaces.Dict(place=gymnasium.spaces.Box(-1.0, 1.0, (2,)))

def push():
    return Push()

def nothing():
    return None

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with the user's module, which is forgotten afterwards."""
    (tmp_path / "pushing.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import no_such_package")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("pushing", "broken"):
        sys.modules.pop(name, None)


def write_data(path, width=2, n=6, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "observations": rng.normal(size=(n, width)),
        "actions": rng.uniform(-1, 1, (n, 1)),
        "rewards": np.ones(n),
        "terminals": np.arange(n) == 3,
    }
    np.savez(path, **(arrays | changes))
    return str(path)


def task_of(name="own/mine", **options):
    return own.task(own.parse(name), SuiteOptions(**options))


@pytest.mark.parametrize("name", ["own/mine", "own/2026-01.run_3"])
def test_every_label_is_a_name(name):
    assert task_of(name).canonical_name == task_of(name).name == name


@pytest.mark.parametrize("name", ["own/", "own", "own/a/b", "own/a b", "mine", "D4RL/own/mine-v0"])
def test_other_names_are_not_ours(name):
    assert own.parse(name) is None


def test_data_alone_make_a_task_without_environment(tmp_path):
    path = write_data(tmp_path / "mine.npz")
    write_data(tmp_path / "mine-val.npz", n=4)
    task = task_of(dataset_path=path)
    assert task.make_environment is None
    assert task.score == RETURN
    assert task.semantics()["environment_actions"] is None
    dataset = task.load_dataset()
    assert (len(dataset.train), len(dataset.validation)) == (5, 3)
    assert dataset.origin["source"] == "dataset_path"
    assert dataset.origin["transitions"] == {"train": 5, "validation": 3}
    assert [file["name"] for file in dataset.origin["files"]] == ["mine.npz", "mine-val.npz"]


def test_a_validation_file_of_other_widths_is_refused(tmp_path):
    path = write_data(tmp_path / "mine.npz")
    write_data(tmp_path / "mine-val.npz", width=3)
    with pytest.raises(DatasetError, match=r"mine-val.npz: `observations` must have shape \(any, 2\) as the training"):
        task_of(dataset_path=path).load_dataset()


def test_data_have_to_be_named():
    with pytest.raises(DatasetError, match="own/mine: name the file with your data: --dataset_path=FILE"):
        task_of().load_dataset()


@pytest.mark.parametrize("name", ["pushing:Push", "pushing:push"])
def test_an_environment_from_a_module_in_the_current_folder(folder, name):
    task = task_of(dataset_path=write_data(folder / "mine.npz"), environment=name)
    assert len(task.load_dataset().train) == 5
    env = task.make_environment()
    assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    assert env.observation_space == gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    first, _ = env.reset(seed=0)
    observation, reward, *_ = env.step(np.array([0.5], np.float32))
    assert observation.dtype == np.float32
    assert reward == 1.5  # half of the way from 0 to 3
    assert observation[0] == pytest.approx(first[0] + 0.75)
    assert "bounds [[-3.0], [3.0]]" in task.semantics()["environment_actions"]


def test_episodes_depend_on_the_seed_alone(folder):
    make = NamedEnvironment("pushing:Push")

    def episode(env):
        return [env.reset(seed=5)[0], *(env.step(np.ones(1, np.float32))[0] for _ in range(3))]

    expected = episode(make())
    np.random.random()  # noqa: NPY002 (what others draw must not matter)
    np.testing.assert_array_equal(episode(make()), expected)


def test_workers_make_the_environment_too(folder):
    """They are new processes, which have to find the module."""
    make = pickle.loads(pickle.dumps(NamedEnvironment("pushing:push")))
    with Evaluator(make, num_envs=2, num_workers=1) as evaluator:
        records = evaluator.evaluate(lambda o, z: np.full((2, 1), 2.0, np.float32), episodes=2, seed=0)
    assert [record.return_ for record in records] == [12.0, 12.0]  # 4 steps of 3, the policy's 2 being clipped to 1
    assert [record.success for record in records] == [1.0, 1.0]


def test_images_are_stacked(folder):
    path = write_data(folder / "mine.npz", observations=np.zeros((6, 4, 4, 1), np.uint8))
    task = task_of(dataset_path=path, environment="pushing:Images", frame_stack=3)
    assert task.load_dataset().train.observations.shape == (6, 4, 4, 1)
    env = task.make_environment()
    assert env.reset(seed=0)[0].shape == env.observation_space.shape == (4, 4, 3)
    assert env.observation_space.dtype == np.uint8
    assert "as the environment takes them" in task.semantics()["environment_actions"]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "pushing:Push",
            {"width": 3},
            r"`observations` must have shape \(any, 2\) as pushing:Push has it, got \(6, 3\)",
        ),
        ("pushing:Push", {"actions": np.zeros((6, 2))}, r"`actions` must have shape \(any, 1\) as pushing:Push"),
        ("pushing:Images", {}, r"`observations` must have shape \(any, 4, 4, 1\) as pushing:Images"),
    ],
)
def test_data_that_do_not_fit_the_environment_are_refused(folder, name, changes, message):
    path = write_data(folder / "mine.npz", **changes)
    with pytest.raises(DatasetError, match=f"mine.npz: {message}"):
        task_of(dataset_path=path, environment=name).load_dataset()


def test_a_registered_environment():
    task = task_of(environment="Pendulum-v1")
    env = task.make_environment()
    env.reset(seed=0)
    assert env.observation_space.shape == (3,)
    assert env.action_space.high.tolist() == [1.0]
    assert "bounds [[-2.0], [2.0]]" in task.semantics()["environment_actions"]


def test_remarks_that_users_can_do_nothing_about_are_kept_from_them(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    NamedEnvironment("HalfCheetah-v5")()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_registered_environment_of_gymnasium_robotics_is_found_and_its_dict_refused():
    with pytest.raises(
        UnusableEnvironmentError, match=r"^PointMaze_UMaze-v3: observations must be one vector.*Flatten"
    ):
        NamedEnvironment("PointMaze_UMaze-v3")()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NoSuchThing-v0", "gymnasium cannot make this environment .*NoSuchThing.*registered name such as"),
        ("no such thing", "gymnasium cannot make this environment .*Malformed"),
        ("no_such_module:make", "there is no module 'no_such_module', neither installed nor in the current folder"),
        ("no_such_module:Thing-v0", "gymnasium cannot make this environment .*no_such_module"),
        ("pushing:pull", "pushing.py has no function 'pull'"),
        ("pushing:number", "pushing.py has no function 'number'"),
        ("json:dumps", "making it failed with TypeError: .*missing"),
        ("pushing:nothing", "must return an environment .*, got NoneType"),
        ("pushing:Unbounded", r"actions must have finite bounds, got Box\(-inf, inf"),
        ("pushing:Chosen", r"actions must be a vector of real numbers \(a Box\), got Discrete"),
        ("pushing:Named", "observations must be one vector.*got Dict"),
    ],
)
def test_unusable_environments_are_refused(folder, name, message):
    with pytest.raises(UnusableEnvironmentError, match=f"^{name}: .*{message}"):
        NamedEnvironment(name)()


def test_a_task_of_ogbench_is_made_as_its_suite_makes_it():
    made = [resolve(CUBE).require_environment()(), NamedEnvironment(CUBE)(), NamedEnvironment(CUBE, frame_stack=2)()]
    first, same, stacked = (env.reset(seed=3)[0] for env in made)
    np.testing.assert_array_equal(same, first)
    np.testing.assert_array_equal(stacked, np.concatenate([first, first]))
    for env in made:
        env.close()


def test_a_faulty_module_fails_with_its_own_error(folder):
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        NamedEnvironment("broken:make")()


def test_films_need_an_environment_that_renders(folder):
    assert NamedEnvironment("pushing:Push")(render_mode="rgb_array").render().shape == (8, 8, 3)
    with pytest.raises(UnusableEnvironmentError, match="let the function take `render_mode`"):
        NamedEnvironment("pushing:push")(render_mode="rgb_array")


def test_no_file_in_the_current_folder_hides_another_package(folder):
    (folder / "colorsys.py").write_text("make = dict")
    with pytest.raises(UnusableEnvironmentError, match=r"colorsys.py has no function 'make'. If this is not your file"):
        NamedEnvironment("colorsys:make")()


class Bounded(gymnasium.Env):
    """Repeats the action that it got."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, low, high):
        self.action_space = gymnasium.spaces.Box(np.float32(low), np.float32(high), (2,), np.float32)

    def step(self, action):
        return action, 0.0, False, False, {}


def test_rescaled_actions_never_leave_the_bounds_and_hit_them_exactly():
    for low, high in np.sort(np.random.default_rng(0).normal(size=(200, 2)), axis=1):
        env = UnitActions(Bounded(low, high))
        space = env.unwrapped.action_space
        for action in ([-1, 1], [-1 + 1e-7, 1 - 1e-7], [0, 0.3]):
            assert space.contains(env.step(np.array(action, np.float32))[0])
        assert env.step(np.array([-1, 1], np.float32))[0].tolist() == [space.low[0], space.high[1]]


def test_actions_within_one_are_passed_on_unchanged():
    env = fitted(Bounded(-1, 1), "mine")
    assert not isinstance(env.env.env, UnitActions)
    assert env.step(np.array([-0.3, 0.7], np.float32))[0].tolist() == np.array([-0.3, 0.7], np.float32).tolist()
