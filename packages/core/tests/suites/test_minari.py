import json
import pickle
import shutil
import subprocess
import sys
import threading
import warnings
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import gymnasium
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.download import OFFLINE_VARIABLE
from offlow_core.data.minari_files import DIRECTORY_VARIABLE, Episode, MinariFolder, read_episodes, to_transitions
from offlow_core.data.validation import DatasetError
from offlow_core.evaluation import Evaluator
from offlow_core.suites import catalogue, minari, minari_dataset, mujoco_repairs
from offlow_core.suites.d4rl import D4RLEnvironment
from offlow_core.suites.fitted_environment import UnusableEnvironmentError
from offlow_core.suites.mujoco_repairs import margins_add_up
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.score import RETURN, ScoreRule

PENDULUM = {"id": "Pendulum-v1", "entry_point": "gymnasium.envs.classic_control.pendulum:PendulumEnv"}


def box(width, bound=1.0, dtype="float32"):
    return {"type": "Box", "dtype": dtype, "shape": [width], "low": [-bound] * width, "high": [bound] * width}


def steps(*ends, width=3, action_width=1, bound=2.0):
    """One episode per word, of 1, 2, ... steps; observations count up over the whole dataset."""
    count, found = 0, []
    for length, end in enumerate(ends, 1):
        found.append(
            {
                "observations": np.arange(count, count + length + 1)[:, None] * np.ones((1, width)),
                "actions": np.linspace(-bound, bound, length * action_width, dtype=np.float32).reshape(length, -1),
                "rewards": np.full(length, float(length)),
                "terminations": np.arange(length) == (length - 1 if end == "terminated" else -1),
                "truncations": np.arange(length) == (length - 1 if end == "truncated" else -1),
            }
        )
        count += length + 1
    return found


def write_dataset(root, name, episodes, **metadata):
    """A dataset in the package's format, as its version 0.5 writes it; entries that are None are left out."""
    data = root / name / "data"
    data.mkdir(parents=True)
    described = {
        "dataset_id": name,
        "total_episodes": len(episodes),
        "total_steps": sum(len(episode["rewards"]) for episode in episodes),
        "data_format": "hdf5",
        "observation_space": json.dumps(box(3, float("inf"), "float64")),
        "action_space": json.dumps(box(1, 2.0)),
        "env_spec": json.dumps(PENDULUM | {"max_episode_steps": 200, "autoreset": False, "kwargs": {}}),
    } | metadata
    (data / "metadata.json").write_text(json.dumps({k: v for k, v in described.items() if v is not None}))
    with h5py.File(data / "main_data.hdf5", "w", track_order=True) as file:
        for k, episode in enumerate(episodes):
            for path, values in episode.items():
                file[f"episode_{k}/{path}"] = values
            file[f"episode_{k}/infos/words"] = np.array([b"not", b"numbers"])
            file[f"episode_{k}"].attrs["total_steps"] = len(episode["rewards"])
    return data


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder that the package would look in."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "datasets"))
    monkeypatch.setenv(OFFLINE_VARIABLE, "1")
    return tmp_path / "datasets"


def task_of(name, **options):
    return minari.task(minari.parse(name), SuiteOptions(**options))


@pytest.mark.parametrize("name", ["D4RL/door/human-v2", "mujoco/hopper/medium-v0", "mine/test-v12"])
def test_ids_are_names(name):
    assert minari.parse(name).canonical == name


@pytest.mark.parametrize("name", ["door-human-v1", "D4RL/door/human", "D4RL/../human-v2", "/door/human-v2", "a b/c-v0"])
def test_other_names_are_not_ours(name):
    assert minari.parse(name) is None


def test_every_listed_name_is_a_task_of_d4rl(root):
    assert len(minari.all_names()) == 12
    for name in minari.all_names():
        assert minari.parse(name).adroit is not None
        assert task_of(name).canonical_name == name
    assert not root.exists()  # nothing was asked for


def test_datasets_on_this_machine_are_listed(root, tmp_path):
    write_dataset(root, "mine/pendulum-v0", steps("truncated"))
    write_dataset(root, "D4RL/door/human-v2", steps("truncated"))
    (root / ".hidden").symlink_to(root)
    (root / "mine" / "again").symlink_to(root)  # leads back: an id may not become endless
    write_dataset(tmp_path / "disk", "big-v0", steps("truncated"))
    (root / "mine" / "big-v0").symlink_to(tmp_path / "disk" / "big-v0")
    locked = root / "mine" / "locked"
    locked.mkdir(mode=0o000)
    try:
        names = minari.all_names()
    finally:
        locked.chmod(0o700)
    assert len(names) == len(set(names))
    assert [name for name in names[12:] if "again" not in name] == ["mine/big-v0", "mine/pendulum-v0"]
    assert all(name.count("/") < 8 for name in names)
    assert "mine/again/mine/pendulum-v0" in names


def test_what_is_no_task_is_not_listed(root):
    """Data without their metadata, damaged or unusable ones, ids without a namespace, and those of another suite."""
    for name in ("mine/absent-v0", "mine/damaged-v0", "pendulum-v0", "own/pendulum-v0"):
        write_dataset(root, name, steps("truncated"))
    (root / "mine/absent-v0/data/metadata.json").unlink()
    (root / "mine/damaged-v0/data/metadata.json").write_text("{")
    write_dataset(root, "mine/unusable-v0", steps("truncated"), observation_space='{"type": "Discrete", "n": 3}')
    write_dataset(root, "mine/broken-v0", steps("truncated"), env_spec="no json")
    write_dataset(root, "mine/whole-v0", steps("truncated"))
    assert minari.all_names()[12:] == ["mine/whole-v0"]


def test_a_list_of_datasets_asks_no_server(root, tmp_path, monkeypatch):
    """Not even where the list is one of another folder, in which they are missing."""
    write_dataset(root, "mine/pendulum-v0", steps("truncated"))
    monkeypatch.delenv(OFFLINE_VARIABLE)
    monkeypatch.setattr(minari_dataset, "download", lambda *_, **__: pytest.fail("asked a server"))

    def entry(**options):
        return next(e for e in catalogue.listed(SuiteOptions(**options)) if e.names == ("mine/pendulum-v0",))

    assert entry().is_cached
    assert not entry(dataset_dir=str(tmp_path / "elsewhere")).is_cached
    assert not (tmp_path / "elsewhere").exists()


def test_every_step_is_a_transition_to_the_observation_after_it(root):
    write_dataset(root, "mine/pendulum-v0", steps("terminated", "truncated", "truncated"))
    dataset = task_of("mine/pendulum-v0").load_dataset()
    batch = dataset.train.gather(np.arange(6))
    assert batch["observations"][:, 0].tolist() == [0, 2, 3, 5, 6, 7]
    assert batch["next_observations"][:, 0].tolist() == [1, 3, 4, 6, 7, 8]
    assert batch["actions"].ravel() == pytest.approx([-1, -1, 1, -1, 0, 1], abs=2e-5)  # recorded in [-2, 2]
    assert batch["rewards"].tolist() == [1, 2, 2, 3, 3, 3]
    assert batch["masks"].tolist() == [0, 1, 1, 1, 1, 1]
    assert batch["terminals"].tolist() == [1, 0, 1, 0, 0, 1]
    assert (np.abs(dataset.train.actions) < 1).all()
    assert dataset.validation is None
    assert dataset.origin["source"] == "cache"
    assert dataset.origin["files"][0]["name"] == "main_data.hdf5"
    assert dataset.origin["transitions"] == {"train": 6}
    assert dataset.origin["actions_outside_their_bounds"] == 0


def test_actions_outside_of_their_bounds_are_clipped_and_counted(root):
    write_dataset(root, "mine/pendulum-v0", steps("terminated", "truncated", bound=3.0))
    dataset = task_of("mine/pendulum-v0").load_dataset()
    assert dataset.origin["actions_outside_their_bounds"] == 3
    assert np.abs(dataset.train.actions).max() == np.float32(1 - 1e-5)


def test_adroit_leaves_out_what_was_not_recorded(root):
    """The last step of an episode that was cut off: D4RL's files have no successor for it."""
    episodes = steps("truncated", "terminated", "truncated", width=39, action_width=28)
    write_dataset(
        root, "D4RL/door/human-v2", episodes, observation_space=json.dumps(box(39)), action_space=json.dumps(box(28))
    )
    task = task_of("D4RL/door/human-v2")
    train = task.load_dataset().train
    assert train.observations[train.rows, 0].tolist() == [2, 3, 5, 6]
    assert train.masks.tolist() == [1, 0, 1, 1]
    assert train.terminals.tolist() == [0, 1, 0, 1]
    assert isinstance(task.make_environment, D4RLEnvironment)
    assert task.score == ScoreRule("normalised return", "return", -56.512833, 2880.5693087298737, is_share=False)
    assert task.episode_steps == 200
    semantics = task.semantics()
    assert semantics["environment"] == "door"
    assert "left out" in semantics["rows"]
    json.dumps(semantics)
    whole = task_of("D4RL/door/human-v2", minari_keeps_cut_off_ends=True)
    train = whole.load_dataset().train
    assert train.observations[train.next_rows[[0, -1]], 0].tolist() == [1, 8]
    assert len(train) == 6
    assert "is kept" in whole.semantics()["rows"]


def test_an_adroit_dataset_of_other_widths_is_refused(root):
    write_dataset(root, "D4RL/pen/human-v2", steps("terminated"), action_space=json.dumps(box(1)))
    with pytest.raises(DatasetError, match=r"`observations` must have shape \(any, 45\) as pen has it, got \(2, 3\)"):
        task_of("D4RL/pen/human-v2").load_dataset()


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["terminated", "truncated", "neither"])), min_size=1))
def test_transitions_equal_the_definition(kinds):
    episodes, expected = [], []
    for k, (length, end) in enumerate(kinds):
        states = np.arange(length + 1, dtype=np.float32)[:, None] + 100 * k
        flags = np.arange(length) == length - 1
        numbers = np.arange(length, dtype=np.float32)
        ended, cut = flags & (end == "terminated"), flags & (end == "truncated")
        episodes.append(Episode(states, numbers[:, None] / 10, numbers, ended, cut))
        last = length - 1 - (end == "truncated")
        expected += [
            (states[t, 0], states[t + 1, 0], t, 1 - float(ended[t]), float(t == last)) for t in range(last + 1)
        ]
    if not expected:
        return
    transitions, _ = to_transitions(iter(episodes), None, "mine", drop_cut_off_ends=True)
    batch = transitions.gather(np.arange(len(transitions)))
    found = [
        batch[name].reshape(-1).tolist()
        for name in ("observations", "next_observations", "rewards", "masks", "terminals")
    ]
    assert list(zip(*found, strict=True)) == expected


def test_the_stored_environment_is_made_for_evaluation(root):
    write_dataset(root, "mine/pendulum-v0", steps("terminated"), ref_min_score=-1200.0, ref_max_score=-200.0)
    task = task_of("mine/pendulum-v0")
    env = pickle.loads(pickle.dumps(task.make_environment))()
    assert env.observation_space == gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    assert task.episode_steps == env.spec.max_episode_steps == 200
    assert task.score.of(-700.0) == pytest.approx(50)
    semantics = task.semantics()
    assert semantics["environment"] == "Pendulum-v1"
    assert semantics["actions_rescaled_from"] == [[-2.0], [2.0]]
    assert "comparable_with_d4rl" not in semantics
    with Evaluator(task.make_environment, num_envs=1, num_workers=0) as evaluator:
        (record,) = evaluator.evaluate(lambda o, z: np.zeros((1, 1), np.float32), episodes=1, seed=0)
    assert record.length == 200


@pytest.mark.parametrize("scores", [{}, {"ref_min_score": 1.0}, {"ref_min_score": 1.0, "ref_max_score": 1.0}])
def test_without_reference_scores_the_score_is_the_return(root, scores):
    write_dataset(root, "mine/pendulum-v0", steps("terminated"), **scores)
    assert task_of("mine/pendulum-v0").score == RETURN


def test_an_environment_for_evaluation_comes_before_the_recorded_one(root):
    other = PENDULUM | {"max_episode_steps": 7}
    write_dataset(root, "mine/pendulum-v0", steps("terminated"), eval_env_spec=json.dumps(other))
    task = task_of("mine/pendulum-v0")
    assert task.episode_steps == 7
    assert task.semantics()["environment_is_for"] == "evaluation"


def test_a_dataset_without_environment_is_data_only(root):
    write_dataset(root, "mine/pendulum-v0", steps("terminated"), env_spec=None)
    task = task_of("mine/pendulum-v0")
    assert task.make_environment is None
    assert task.episode_steps is None
    assert len(task.load_dataset().train) == 1
    assert task.semantics()["environment"] is None


def test_an_environment_that_has_changed_since_is_refused(root):
    space = json.dumps(box(4))
    write_dataset(root, "mine/pendulum-v0", steps("terminated", width=4), observation_space=space)
    task = task_of("mine/pendulum-v0")
    assert len(task.load_dataset().train) == 1
    with pytest.raises(UnusableEnvironmentError, match=r"have 4 numbers, but those of Pendulum-v1 .* shape \(3,\)"):
        task.make_environment()


TIME_LIMIT = "gymnasium.wrappers.common:TimeLimit"
WRAPPER = {"name": "Mine", "entry_point": "os:system", "kwargs": {"command": "true"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "Hovercraft-v0"}, "its environment Hovercraft-v0 is not one of those that gymnasium"),
        ({"id": "os:Pendulum-v1"}, "its environment os:Pendulum-v1 is not one of those"),
        ({"kwargs": {"gravity": 9.81, "old": 1}}, "its environment Pendulum-v1 cannot be made .*TypeError"),
        ({"additional_wrappers": [WRAPPER]}, "its environment has the wrapper os:system, but a dataset may only name"),
        (
            {"additional_wrappers": [{**WRAPPER, "entry_point": "gymnasium.wrappers.rendering:RecordVideo"}]},
            "its environment has the wrapper gymnasium.wrappers.rendering:RecordVideo, .* these .*: ClipAction",
        ),
        (
            {"additional_wrappers": [{**WRAPPER, "entry_point": "gymnasium.wrappers_of_mine:TimeLimit"}]},
            "its environment has the wrapper gymnasium.wrappers_of_mine:TimeLimit, but",
        ),
        (
            {"additional_wrappers": [{**WRAPPER, "entry_point": TIME_LIMIT, "kwargs": {"a": "b/c"}}]},
            "the wrapper TimeLimit of its environment has the argument a='b/c', which looks like a file",
        ),
    ],
)
def test_an_environment_that_cannot_be_made_is_told(root, change, message):
    write_dataset(root, "mine/pendulum-v0", steps("terminated"), env_spec=json.dumps(PENDULUM | change))
    with pytest.raises(UnusableEnvironmentError, match=f"^mine/pendulum-v0: {message}"):
        task_of("mine/pendulum-v0").make_environment()


@pytest.mark.parametrize(
    "value",
    ["/etc/passwd", "..\\\\up", "ant.xml", "ANT.XML", "~", ".hidden", ["a", {"b": ["c/d"]}], {"c/d": 1}],
)
def test_a_dataset_does_not_name_files_to_open(root, value):
    specification = {"id": "Ant-v5", "entry_point": "gymnasium.envs.mujoco.ant_v5:AntEnv"}
    specification["kwargs"] = {"reset_noise_scale": 0.1, "xml_file": value}
    write_dataset(root, "mine/ant-v0", steps("terminated"), env_spec=json.dumps(specification))
    with pytest.raises(
        UnusableEnvironmentError, match=r"mine/ant-v0: its environment Ant-v5 has the argument xml_file=.*a file; .*=0"
    ):
        task_of("mine/ant-v0").make_environment()


def test_a_dataset_does_not_name_functions_to_call(root):
    """Its environment is the registered one, with the wrappers of gymnasium that it was recorded with."""
    wrapper = {"name": "TimeLimit", "entry_point": "gymnasium.wrappers.common:TimeLimit"}
    specification = PENDULUM | {
        "entry_point": "os:abort",
        "additional_wrappers": [wrapper | {"kwargs": {"max_episode_steps": 2}}],
    }
    write_dataset(root, "mine/pendulum-v0", steps("terminated"), env_spec=json.dumps(specification))
    env = task_of("mine/pendulum-v0").make_environment()
    env.reset(seed=0)
    assert type(env.unwrapped).__name__ == "PendulumEnv"
    assert [env.step(np.ones(1, np.float32))[3] for _ in range(2)] == [False, True]


@pytest.mark.parametrize("specification", ["no json", "[1]", '{"kwargs": {}}'])
def test_a_damaged_specification_is_told(root, specification):
    write_dataset(root, "mine/pendulum-v0", steps("terminated"), env_spec=specification)
    with pytest.raises(UnusableEnvironmentError, match="mine/pendulum-v0: its stored environment cannot be read"):
        task_of("mine/pendulum-v0")


def test_older_datasets_take_their_spaces_from_the_environment(root):
    write_dataset(root, "mine/pendulum-v0", steps("truncated"), observation_space=None, action_space=None)
    task = task_of("mine/pendulum-v0")
    assert task.load_dataset().train.actions.ravel() == pytest.approx([-1], abs=2e-5)
    task.make_environment()


def test_parts_of_an_observation_are_joined_in_alphabetical_order(root):
    """The dataset's and the environment's alike: here those of a maze of gymnasium-robotics."""
    episode = steps("truncated", action_width=2, bound=1.0)[0]
    del episode["observations"]
    episode |= {
        "observations/observation": np.array([[1.0, 2, 3, 4]] * 2),
        "observations/achieved_goal": np.array([[5.0, 6]] * 2),
        "observations/desired_goal": np.array([[7.0, 8]] * 2),
    }
    space = {"observation": box(4), "desired_goal": box(2), "achieved_goal": box(2)}
    maze = [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]
    specification = {"id": "PointMaze_UMaze-v3", "max_episode_steps": 5, "kwargs": {"maze_map": maze}}
    specification["entry_point"] = "gymnasium_robotics.envs.maze.point_maze:PointMazeEnv"
    write_dataset(
        root,
        "mine/maze-v0",
        [episode],
        observation_space=json.dumps({"type": "Dict", "subspaces": space}),
        action_space=json.dumps(box(2)),
        env_spec=json.dumps(specification),
    )
    task = task_of("mine/maze-v0")
    assert task.load_dataset().train.observations[0].tolist() == [5, 6, 7, 8, 1, 2, 3, 4]
    assert task.semantics()["observations"] == ["achieved_goal", "desired_goal", "observation"]
    env = task.make_environment()
    observation, _ = env.reset(seed=0)
    state = env.unwrapped.point_env.data
    np.testing.assert_allclose(observation, [*state.qpos, *env.unwrapped.goal, *state.qpos, *state.qvel], atol=1e-6)


@pytest.mark.parametrize(("name", "legacy"), [("mujoco/hopper/medium-v0", True), ("mine/hopper-v0", False)])
def test_contacts_are_those_of_the_recording(root, name, legacy):
    """Minari's own collections were recorded before MuJoCo 3.5 changed what a margin of 0.001 means."""
    specification = {"id": "Hopper-v5", "entry_point": "gymnasium.envs.mujoco.hopper_v5:HopperEnv"}
    spaces = {"observation_space": json.dumps(box(11)), "action_space": json.dumps(box(3))}
    write_dataset(root, name, steps("truncated"), env_spec=json.dumps(specification), **spaces)
    task = task_of(name)
    changed = legacy and margins_add_up()
    assert set(task.make_environment().unwrapped.model.geom_margin) == {0.0005 if changed else 0.001}
    assert task.semantics()["legacy_contact_margin"] is changed
    as_it_is = task_of(name, legacy_contact_margin=False)
    assert set(as_it_is.make_environment().unwrapped.model.geom_margin) == {0.001}
    assert as_it_is.semantics()["legacy_contact_margin"] is False


@pytest.mark.parametrize(
    ("change", "spaces"),
    [
        ({"id": "HalfCheetah-v5"}, (17, 6)),
        ({"id": "Pendulum-v1"}, (3, 1)),
        ({"id": "Hovercraft-v0"}, (11, 3)),
    ],
    ids=["without margins", "without a model", "cannot be made"],
)
def test_margins_that_are_not_repaired_are_not_recorded_as_such(root, change, spaces):
    described = {"observation_space": json.dumps(box(spaces[0])), "action_space": json.dumps(box(spaces[1]))}
    write_dataset(root, "mujoco/x/medium-v0", steps("truncated"), env_spec=json.dumps(PENDULUM | change), **described)
    assert task_of("mujoco/x/medium-v0").semantics()["legacy_contact_margin"] is False


def test_margins_are_not_repaired_where_this_mujoco_takes_the_larger_one(root, monkeypatch):
    monkeypatch.setattr(mujoco_repairs, "margins_add_up", lambda: False)
    specification = PENDULUM | {"id": "Hopper-v5"}
    spaces = {"observation_space": json.dumps(box(11)), "action_space": json.dumps(box(3))}
    write_dataset(root, "mujoco/hopper/medium-v0", steps("truncated"), env_spec=json.dumps(specification), **spaces)
    task = task_of("mujoco/hopper/medium-v0")
    assert set(task.make_environment().unwrapped.model.geom_margin) == {0.001}
    assert task.semantics()["legacy_contact_margin"] is False


def test_mazes_regenerated_under_d4rls_names_say_so(root):
    write_dataset(root, "D4RL/antmaze/umaze-v1", steps("truncated"))
    task = task_of("D4RL/antmaze/umaze-v1")
    assert task.semantics()["comparable_with_d4rl"].startswith("no: recorded anew")
    assert len(task.load_dataset().train) == 1  # nothing is left out


def altered(name, change):
    episodes = steps("truncated", "truncated")
    episodes[1][name] = change(episodes[1][name])
    return episodes


def with_nan(values):
    values[1] = np.nan
    return values


@pytest.mark.parametrize(
    ("episodes", "message"),
    [
        (altered("observations", with_nan), "episode 1: `observations` must hold finite numbers, but row 1 holds"),
        (altered("observations", lambda v: v[:-1]), "episode 1: `observations` must have 3 rows, one more .*, got 2"),
        (altered("observations", lambda v: v[:, :2]), r"episode 1: `observations` must have shape \(any, 3\)"),
        (altered("actions", lambda v: v[:1]), r"episode 1: `actions` must have shape \(2, any\)"),
        (altered("actions", lambda v: np.repeat(v, 2, 1)), r"episode 1: `actions` must have shape \(any, 1\)"),
        (altered("rewards", lambda v: v[:, None]), r"episode 1: `rewards` must have shape \(any,\)"),
        (altered("rewards", lambda v: v[:0]), "episode 1: an episode must have at least one step"),
        (altered("terminations", lambda v: v[:1]), r"episode 1: `terminations` must have shape \(2,\)"),
        (
            altered("truncations", lambda v: np.array([b"a", b"b"])),
            "`episode_1/truncations` must hold numbers or truth",
        ),
        ([*steps("truncated"), {"rewards": np.ones(1)}], "`episode_1/observations` is missing, though metadata.json"),
    ],
)
def test_what_does_not_fit_is_refused(root, episodes, message):
    write_dataset(root, "mine/pendulum-v0", episodes)
    with pytest.raises(DatasetError, match=message):
        task_of("mine/pendulum-v0").load_dataset()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"observation_space": json.dumps({"type": "Discrete", "n": 3})},
            "`observation_space` must be a Box, or a Dict",
        ),
        ({"action_space": json.dumps(box(1, float("inf")))}, "^mine/pendulum-v0: actions must have finite bounds"),
        ({"total_episodes": 0}, "`total_episodes` must be at least 1, got 0"),
        ({"total_episodes": None}, "`total_episodes` must be at least 1, got None"),
        ({"observation_space": "{"}, "`observation_space` must be a Box"),
        (
            {"observation_space": json.dumps({"type": "Dict", "subspaces": {"a": box(1) | {"dtype": "int64"}}})},
            "`observations/a` is Box.*Write what you need",
        ),
    ],
)
def test_unusable_metadata_are_refused(root, metadata, message):
    write_dataset(root, "mine/pendulum-v0", steps("truncated"), **metadata)
    with pytest.raises((DatasetError, UnusableEnvironmentError), match=message):
        task_of("mine/pendulum-v0").load_dataset()


def test_damaged_metadata_and_a_missing_file_are_refused(root):
    data = write_dataset(root, "mine/pendulum-v0", steps("truncated"))
    (data / "main_data.hdf5").unlink()
    with pytest.raises(DatasetError, match=r"main_data.hdf5: there is no such file"):
        task_of("mine/pendulum-v0").load_dataset()
    (data / "metadata.json").write_text("{")
    with pytest.raises(DatasetError, match=r"metadata.json: cannot be read as JSON"):
        task_of("mine/pendulum-v0")


def test_datasets_are_looked_for_where_the_options_say(root, tmp_path):
    write_dataset(tmp_path / "elsewhere", "mine/pendulum-v0", steps("truncated"))
    assert len(task_of("mine/pendulum-v0", dataset_dir=str(tmp_path / "elsewhere")).load_dataset().train) == 1
    folder = tmp_path / "elsewhere" / "mine" / "pendulum-v0"
    for path in (folder, folder / "data"):
        task = task_of("another/name-v3", dataset_path=str(path))
        assert task.load_dataset().origin["source"] == "dataset_path"
        assert task.files() == {"metadata": folder / "data/metadata.json", "train": folder / "data/main_data.hdf5"}
    with pytest.raises(DatasetError, match="expected the `data` folder of a Minari dataset"):
        task_of("mine/pendulum-v0", dataset_path=str(tmp_path)).load_dataset()


def test_a_missing_dataset_is_explained(root):
    with pytest.raises(DatasetError) as error:
        task_of("mujoco/hopper/medium-v0")
    address = "https://huggingface.co/datasets/farama-minari/mujoco/resolve/main/hopper/medium-v0/data"
    target = root / "mujoco/hopper/medium-v0/data"
    for part in (
        "downloads are switched off",
        f"{address}/metadata.json\n  {address}/main_data.hdf5\nand put them into\n  {target}\n",
        "pip install 'minari[hf,hdf5]'\n  minari download mujoco/hopper/medium-v0",
    ):
        assert part in str(error.value)
    with pytest.raises(DatasetError, match="D4RL/door/human-v2 could not be downloaded"):
        task_of("D4RL/door/human-v2").load_dataset()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that the datasets come from."""
    monkeypatch.delenv(OFFLINE_VARIABLE)
    folder = tmp_path / "server"
    monkeypatch.setattr(minari_dataset, "SERVER", folder.as_uri())
    return folder


def serve(server, name, **metadata):
    namespace, _, rest = name.partition("/")
    write_dataset(server / namespace / "resolve" / "main", rest, steps("truncated"), **metadata)


def test_a_missing_dataset_is_downloaded_complete_or_not_at_all(root, server):
    serve(server, "mine/pendulum-v0")
    task = task_of("mine/pendulum-v0")
    assert not (root / "mine").exists()  # the metadata wait for the data
    assert task.load_dataset().origin["source"] == "download"
    assert task.load_dataset().origin["source"] == "cache"
    assert sorted(path.name for path in (root / "mine/pendulum-v0/data").iterdir()) == [
        "main_data.hdf5",
        "metadata.json",
    ]
    assert not any(path.is_file() for path in (root / minari_dataset._ANNOUNCED).rglob("*"))


@pytest.mark.parametrize("content", [b"<html>log in</html>", b"cut off"], ids=["web page", "cut off"])
def test_a_damaged_download_does_not_stay(root, server, content):
    serve(server, "mine/pendulum-v0")
    original = server / "mine/resolve/main/pendulum-v0/data/main_data.hdf5"
    whole = original.read_bytes()
    original.write_bytes(whole[:-100] if content == b"cut off" else content)
    task = task_of("mine/pendulum-v0")
    with pytest.raises(
        DatasetError,
        match=r"mine/pendulum-v0 could not .* damaged and was removed \((expected an|it cannot be read as an)",
    ):
        task.load_dataset()
    folder = root / "mine/pendulum-v0/data"
    assert list(folder.iterdir()) == []
    assert not minari_dataset.is_dataset(folder)
    original.write_bytes(whole)
    assert task.load_dataset().origin["source"] == "download"


@pytest.mark.parametrize(
    ("content", "message"),
    [("<html>log in</html>", "cannot be read as JSON"), ('{"total_episodes": 0}', "`total_episodes` must be at least")],
)
def test_damaged_metadata_do_not_stay(root, server, content, message):
    serve(server, "mine/pendulum-v0")
    original = server / "mine/resolve/main/pendulum-v0/data/metadata.json"
    whole = original.read_text()
    original.write_text(content)
    with pytest.raises(DatasetError, match=rf"pendulum-v0 could not be .* damaged and was removed \({message}"):
        task_of("mine/pendulum-v0")
    assert not any(path.is_file() for path in root.rglob("*"))
    original.write_text(whole)
    assert len(task_of("mine/pendulum-v0").load_dataset().train) == 1


def test_data_without_their_metadata_are_completed(root, server):
    """What is left of a download that was interrupted between its two files is no dataset, and not fetched again."""
    serve(server, "mine/pendulum-v0")
    task = task_of("mine/pendulum-v0")
    original = server / "mine/resolve/main/pendulum-v0/data/metadata.json"
    hidden = original.rename(original.with_name("hidden"))
    with pytest.raises(DatasetError, match="could not be downloaded"):
        task.load_dataset()
    folder = root / "mine/pendulum-v0/data"
    assert (folder / "main_data.hdf5").exists()
    with pytest.raises(DatasetError, match=r"but it has no metadata\.json"):
        MinariFolder.open(folder)
    assert "mine/pendulum-v0" not in minari.all_names()
    hidden.rename(original)
    original.with_name("main_data.hdf5").unlink()
    assert task.load_dataset().origin["source"] == "download"


def test_metadata_that_another_process_has_just_removed_are_found_in_the_dataset(root, server, monkeypatch):
    serve(server, "mine/pendulum-v0")

    def overtaken(*_, **__):
        shutil.copytree(server / "mine/resolve/main/pendulum-v0", root / "mine/pendulum-v0")

    monkeypatch.setattr(minari_dataset, "download", overtaken)
    stored = minari_dataset.stored_metadata(minari.parse("mine/pendulum-v0"), SuiteOptions())
    assert stored.path == root / "mine/pendulum-v0/data"


LOAD = """
import fcntl, sys, time
from offlow_core.suites import SuiteOptions, minari, minari_dataset

def lock_late(file, kind, lock=fcntl.flock):
    lock(file, kind)
    time.sleep(kind == fcntl.LOCK_EX)  # on a busy machine who has waited goes on long after the other has finished

fcntl.flock = lock_late
minari_dataset.SERVER = sys.argv[1]
task = minari.task(minari.parse("mine/pendulum-v0"), SuiteOptions(dataset_dir=sys.argv[2]))
assert len(task.load_dataset().train) == 1
"""


def test_two_processes_at_once_download_once(root, server, tmp_path):
    serve(server, "mine/pendulum-v0")
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=server)

        def do_GET(self):
            requests.append(self.path.rpartition("/")[2])
            threading.Event().wait(0.5)
            super().do_GET()

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    command = [sys.executable, "-c", LOAD, f"http://127.0.0.1:{http.server_address[1]}", str(tmp_path / "cache")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    http.shutdown()
    http.server_close()
    thread.join()
    assert [process.returncode for process in processes] == [0, 0], errors
    assert requests.count("main_data.hdf5") == 1
    folder = tmp_path / "cache/mine/pendulum-v0/data"
    assert sorted(path.name for path in folder.iterdir()) == ["main_data.hdf5", "metadata.json"]


def test_fetching_downloads_once(root, server):
    serve(server, "mine/pendulum-v0")
    paths = task_of("mine/pendulum-v0").fetch()
    assert (
        paths
        == task_of("mine/pendulum-v0").fetch()
        == [*map((root / "mine/pendulum-v0/data").joinpath, ("main_data.hdf5", "metadata.json"))]
    )


def test_a_dataset_of_many_files_is_left_to_its_package(root, server):
    serve(server, "mine/pendulum-v0", data_format="arrow")
    with pytest.raises(
        DatasetError,
        match=r"kept in many files \(arrow\).*\n  pip install 'minari\[hf,arrow\]'\n  minari download mine",
    ):
        task_of("mine/pendulum-v0").load_dataset()


def write_through_package(name, episodes, **options):
    package = pytest.importorskip("minari")
    from minari.data_collector.episode_buffer import EpisodeBuffer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses an author, a description ...
        return package.create_dataset_from_buffers(name, [EpisodeBuffer(**episode) for episode in episodes], **options)


def test_what_the_package_writes_is_what_is_read(root):
    root.mkdir()
    episodes = steps("terminated", "truncated", "truncated")
    written = write_through_package("mine/pendulum-v0", episodes, env="Pendulum-v1", ref_min_score=-5, ref_max_score=5)
    task = task_of("mine/pendulum-v0")
    write_dataset(root, "mine/same-v0", episodes)
    found, same = task.load_dataset().train, task_of("mine/same-v0").load_dataset().train
    assert found.checksum() == same.checksum()
    stored = np.concatenate([episode.observations for episode in written.iterate_episodes()])
    np.testing.assert_array_equal(found.observations, stored.astype(np.float32))
    assert task.score.of(0.0) == 50
    assert task.make_environment().spec.id == "Pendulum-v1"


@pytest.mark.parametrize("compressed", [True, False])
def test_images_are_read_with_the_packages_help_where_they_are_compressed(root, compressed):
    root.mkdir()
    images = np.full((4, 32, 32, 3), 50 * np.arange(4)[:, None, None, None], np.uint8)
    episode = steps("truncated", "truncated", "truncated", bound=1.0)[2] | {"observations": images}
    spaces = {
        "observation_space": gymnasium.spaces.Box(0, 255, (32, 32, 3), np.uint8),
        "action_space": gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32),
    }
    write_through_package("mine/camera-v0", [episode], jpeg_encoding=compressed, **spaces)
    task = task_of("mine/camera-v0")
    assert task.make_environment is None
    found = task.load_dataset().train.observations
    assert (found.dtype, found.shape) == (np.uint8, images.shape)
    np.testing.assert_allclose(found.astype(int), images, atol=2 if compressed else 0)


def test_formats_that_the_package_cannot_read_either_are_refused(root):
    write_dataset(root, "mine/pendulum-v0", steps("truncated"), data_format="arrow")
    with pytest.raises(
        DatasetError, match=r"only the package `minari` can read this \(arrow.*pip install 'minari\[arrow"
    ):
        task_of("mine/pendulum-v0").load_dataset()


def test_reading_is_lazy(root):
    """A damaged later episode is found only when its turn comes."""
    data = write_dataset(root, "mine/pendulum-v0", altered("rewards", lambda v: v[:0]))
    stored = MinariFolder.open(data)
    episodes = read_episodes(stored, stored.space("observation_space"))
    assert len(next(episodes).rewards) == 1
    with pytest.raises(DatasetError, match="episode 1"):
        next(episodes)
