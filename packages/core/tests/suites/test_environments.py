import pickle
import warnings

import gymnasium
import numpy as np
import pytest

from offlow_core.suites import SuiteOptions, resolve

# Every family of environments, and the maze that draws random numbers in the middle of an episode.
NAMES = [
    "cube-single-play-singletask-v0",
    "cube-double-play-singletask-task3-v0",
    "scene-play-singletask-v0",
    "puzzle-3x3-play-singletask-v0",
    "pointmaze-medium-navigate-singletask-v0",
    "pointmaze-teleport-navigate-singletask-v0",
    "antmaze-large-navigate-singletask-v0",
    "humanoidmaze-medium-navigate-singletask-v0",
    "antsoccer-arena-navigate-singletask-v0",
]
SIZES = dict(zip(NAMES, [(28, 5), (37, 5), (40, 5), (55, 5), (2, 2), (2, 2), (29, 8), (69, 21), (42, 8)], strict=True))


def rollout(env: gymnasium.Env, seed: int, steps: int = 25) -> list[np.ndarray]:
    """Observations and outcomes under actions that depend on nothing else."""
    generator = np.random.default_rng(7)
    values = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        observation, reward, terminated, _, info = env.step(
            generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        )
        values.append(np.append(observation, [reward, float(terminated), float(info["success"])]))
    return values


@pytest.fixture(scope="module")
def env(name) -> gymnasium.Env:
    return resolve(name).make_environment()


@pytest.mark.parametrize("name", NAMES, scope="module")
def test_observations_are_float32_and_rollouts_depend_on_the_seed_alone(name, env):
    observation_width, action_width = SIZES[name]
    assert env.observation_space == gymnasium.spaces.Box(-np.inf, np.inf, (observation_width,), np.float32)
    assert env.action_space.shape == (action_width,)
    first = rollout(env, seed=1)
    assert first[0].dtype == np.float32
    assert env.observation_space.contains(first[0])
    np.random.random()  # noqa: NPY002 (what others draw must not matter)
    again, other = rollout(env, seed=1), rollout(pickle.loads(pickle.dumps(resolve(name))).make_environment(), seed=1)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert not np.array_equal(first[0], env.reset(seed=2)[0])


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("ant")], scope="module")
def test_rollouts_equal_those_of_the_package(name, env):
    import ogbench

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = ogbench.make_env_and_datasets(name, env_only=True, success_timing="pre")
        np.random.seed(5)  # noqa: NPY002 (the generator that mazes draw from)
        expected = rollout(plain, seed=5)
    for got, want in zip(rollout(env, seed=5), expected, strict=True):
        np.testing.assert_array_equal(got, want.astype(np.float32))


def test_environments_in_turn_equal_environments_alone():
    """A maze with teleports draws while it runs; stepping two by turns must not mix their streams."""
    task = resolve("pointmaze-teleport-navigate-singletask-task3-v0")

    def trajectory(env):
        yield env.reset(seed=4)[0]
        for _ in range(150):
            subgoal = env.unwrapped.get_oracle_subgoal(env.unwrapped.get_xy(), (16.0, 8.0))[0]
            yield env.step(np.clip(subgoal - env.unwrapped.get_xy(), -1, 1).astype(np.float32))[0]

    alone = list(trajectory(task.make_environment()))
    in_turn = list(zip(trajectory(task.make_environment()), trajectory(task.make_environment()), strict=True))
    jumps = np.linalg.norm(np.diff(alone, axis=0), axis=1)
    assert jumps.max() > 4  # it was teleported
    np.testing.assert_array_equal(in_turn, np.stack([alone, alone], axis=1))


def test_the_callers_random_numbers_are_left_alone():
    env = resolve("pointmaze-medium-navigate-singletask-v0").make_environment()
    np.random.seed(0)  # noqa: NPY002 (the generator in question)
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    env.reset(seed=9)
    env.step(np.zeros(2, np.float32))
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


@pytest.mark.parametrize("timing", ["pre", "post"])
def test_success_is_told_before_or_after_the_action(timing):
    task = resolve("pointmaze-medium-navigate-singletask-v0", SuiteOptions(success_timing=timing))
    assert task.semantics()["success_timing"] == timing
    env = task.make_environment()
    env.reset(seed=0)
    maze = env.unwrapped
    maze.set_xy(np.array(maze.cur_goal_xy) - [1.1, 0.0])  # success is within 1.0, and a step is 0.2
    outcomes = [env.step(np.array([1.0, 0.0], np.float32)) for _ in range(2)]
    told = [(info["success"], reward, terminated) for _, reward, terminated, _, info in outcomes]
    success, failure = (1.0, 0.0, True), (0.0, -1.0, False)
    assert told == ([failure, success] if timing == "pre" else [success, success])


def test_an_episode_is_cut_off_at_the_time_limit():
    env = resolve("cube-single-play-singletask-v0").make_environment()
    env.reset(seed=0)
    truncations = [env.step(np.zeros(5, np.float32))[3] for _ in range(200)]
    assert truncations == [False] * 199 + [True]


def test_stacked_observations_begin_with_the_first_one_repeated():
    plain = resolve("pointmaze-medium-navigate-singletask-v0").make_environment()
    task = resolve("pointmaze-medium-navigate-singletask-v0", SuiteOptions(frame_stack=3))
    env = task.make_environment()
    assert task.semantics()["frame_stack"] == 3
    assert env.observation_space.shape == (6,)
    frames = [values[:2] for values in rollout(plain, seed=0, steps=4)]
    stacks = [values[:6] for values in rollout(env, seed=0, steps=4)]
    np.testing.assert_array_equal(stacks[0], np.concatenate([frames[0]] * 3))
    np.testing.assert_array_equal(stacks[1], np.concatenate([frames[0], frames[0], frames[1]]))
    np.testing.assert_array_equal(stacks[4], np.concatenate(frames[2:5]))


def test_semantics_name_the_versions_in_force():
    semantics = resolve("cube-single-play-singletask-v0").semantics()
    assert set(semantics["versions"]) == {"ogbench", "mujoco", "gymnasium"}
    assert semantics["environment"] == "cube-single-singletask-task2-v0"
    assert semantics["dataset"] == "cube-single-play-v0"


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode must be None or \"rgb_array\", got 'human'"):
        resolve("cube-single-play-singletask-v0").make_environment(render_mode="human")
