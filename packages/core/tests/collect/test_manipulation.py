"""The manipulation environments: oracles, noise, rejection, and what the rows hold."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from offlow_core.data.collect import manipulation
from offlow_core.data.collect.episode import EpisodeSeeds
from offlow_core.data.collect.manipulation import (
    ActionNoise,
    ManipulationCollector,
    cube_left_the_scene,
    stacking_range,
)
from offlow_core.data.collect.protocol import find_protocol

# Place of the gripper's opening (times 3, 3 is closed) and of the first button in a state observation.
GRIPPER, BUTTONS = 17, 19


def silent(_rows):
    """Report to nobody."""


@pytest.fixture(scope="module")
def scene_noisy():
    return ManipulationCollector(find_protocol("scene-noisy"), episode_rows=150)


@pytest.fixture(scope="module")
def puzzle_play():
    return ManipulationCollector(find_protocol("puzzle-3x3-play"), episode_rows=120)


def scene_rows(*cubes):
    qpos = np.zeros((len(cubes), 25))
    qpos[:, 14:17] = cubes
    return qpos


@pytest.mark.parametrize(
    ("cube", "left"),
    [
        ((0.4, 0.0, 0.02), False),
        ((0.4, 0.289, 0.02), False),
        ((0.4, 0.29, 0.02), True),  # behind the window
        ((0.33, -0.356, 0.066), False),  # in the drawer
        ((0.33, -0.3, 0.06), False),
        ((0.33, -0.3, 0.059), True),  # fallen beside it
        ((0.33, -0.3, 0.081), True),  # lying on its edge
        ((0.33, -0.299, 0.3), False),
    ],
)
def test_where_the_scene_loses_its_cube(cube, left):
    inside = (0.4, 0.0, 0.02)
    assert cube_left_the_scene(scene_rows(inside, cube, inside)) is left


def test_a_rejected_episode_is_repeated_as_a_whole(scene_noisy, monkeypatch):
    answers = iter([True, True, False])
    monkeypatch.setattr(manipulation, "cube_left_the_scene", lambda _: next(answers))
    monkeypatch.setattr(scene_noisy, "episode_rows", 12)
    heard = []
    episode = scene_noisy.collect(0, 4, heard.append)
    assert heard == [*range(1, 13)] * 3
    assert episode.counts["rejected"] == 2
    third = scene_noisy._attempt(EpisodeSeeds.derive(0, 4, attempt=2), silent).arrays
    assert all(np.array_equal(episode.arrays[key], third[key]) for key in third)


def test_cubes_are_never_rejected(monkeypatch):
    collector = ManipulationCollector(find_protocol("cube-single-noisy"), episode_rows=5)
    monkeypatch.setattr(manipulation, "cube_left_the_scene", lambda _: True)
    assert collector.collect(0, 0, silent).counts["rejected"] == 0


def test_episodes_do_not_depend_on_those_before(scene_noisy):
    # In episode 10 the button's oracle looks at the target of the last button before it hears of its own.
    first = scene_noisy.collect(0, 10, silent).arrays
    scene_noisy.collect(0, 11, silent)
    again = scene_noisy.collect(0, 10, silent).arrays
    assert all(first[key].tobytes() == again[key].tobytes() for key in first)


def test_a_fresh_state_forgets_targets_and_locks(scene_noisy):
    scene = scene_noisy.environment.unwrapped
    before = {name: np.copy(getattr(scene, name)) for name in scene_noisy.fresh_state.attributes}
    damping = scene.model.dof_damping.copy()
    scene_noisy.fresh_state.restore()
    remembered = {name: np.copy(getattr(scene, name)) for name in before}
    scene._target_button_states[:] = 7
    scene._target_drawer_pos = 7.0
    scene.model.dof_damping[:] = damping + 1
    scene_noisy.fresh_state.restore()
    assert all(np.array_equal(getattr(scene, name), remembered[name]) for name in remembered)
    assert scene.model.dof_damping.max() <= damping.max()


def test_rows_hold_the_state_before_the_step(scene_noisy):
    arrays = scene_noisy.collect(3, 0, silent).arrays
    assert np.array_equal(arrays["observations"][:, :6], arrays["qpos"][:, :6]), "arm joints"
    shown = arrays["observations"][:, [BUTTONS + 9, BUTTONS + 13]]  # behind the cube's nine numbers, each of size 4
    assert np.array_equal(shown == 0, arrays["button_states"] == 1)


def test_noise_of_noisy_data_moves_the_gripper_most():
    noise = ActionNoise(find_protocol("cube-single-noisy"), np.random.default_rng(0))
    assert 0 < noise.deviation[0] < 0.1
    assert noise.deviation / noise.deviation[0] == pytest.approx([1, 1, 1, 3, 10])
    noise.deviation = noise.deviation / noise.deviation[0] * 0.01
    actions = np.array([noise.applied_to(np.zeros(5)) for _ in range(4000)])
    assert actions.std(axis=0) == pytest.approx([0.01, 0.01, 0.01, 0.03, 0.1], rel=0.06)


@pytest.mark.parametrize(
    ("name", "share"), [("cube-double-noisy", 0.1), ("scene-noisy", 0.1), ("puzzle-4x5-noisy", 0.2)]
)
def test_share_of_random_actions(name, share):
    noise = ActionNoise(find_protocol(name), np.random.default_rng(0))
    assert np.mean([noise.replaces_action() for _ in range(10_000)]) == pytest.approx(share, abs=0.02)


def test_played_actions_are_the_oracles():
    noise = ActionNoise(find_protocol("cube-single-play"), np.random.default_rng(0))
    assert not any(noise.replaces_action() for _ in range(1000))
    assert noise.applied_to(np.array([0.5, -2.0, 2.0, 0.0, 1.0])).tolist() == [0.5, -1, 1, 0, 1]


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("cube-single-play", (0, 0)),
        ("cube-double-noisy", (0, 0.25)),
        ("visual-cube-double-play", (0, 0.25)),
        ("cube-triple-play", (0.05, 0.35)),
        ("cube-quadruple-play", (0.1, 0.5)),
        ("scene-play", (0.5, 0.5)),
        ("puzzle-3x3-play", (0.5, 0.5)),
    ],
)
def test_probability_of_stacking(name, bounds):
    assert stacking_range(find_protocol(name)) == bounds


def test_the_puzzle_is_played_with_a_closed_gripper(puzzle_play):
    episode = puzzle_play.collect(0, 0, silent)
    assert episode.arrays["observations"][30:, GRIPPER].min() > 2
    assert episode.counts["button attempted"] >= 2
    assert episode.counts["button achieved"] == episode.counts["button attempted"]


def test_buttons_change_their_neighbours_too(puzzle_play):
    states = puzzle_play.collect(0, 0, silent).arrays["button_states"]
    changed = (np.diff(states, axis=0) != 0).sum(axis=1)
    assert set(changed[changed > 0]) <= {3, 4, 5}, "a corner, an edge or the middle of 3x3, with its neighbours"


@pytest.mark.parametrize("behaviour", ["play", "noisy"])
def test_oracles_of_each_family(puzzle_play, scene_noisy, behaviour):
    kind = {"play": "PlanOracle", "noisy": "MarkovOracle"}[behaviour]
    puzzle = replace(puzzle_play.protocol, behaviour=behaviour)
    scene = replace(scene_noisy.protocol, behaviour=behaviour)
    pressing = manipulation.make_oracles(puzzle, puzzle_play.environment)
    assert list(pressing) == ["button"]
    assert pressing["button"]._gripper_always_closed
    handling = manipulation.make_oracles(scene, scene_noisy.environment)
    assert list(handling) == ["cube", "button", "drawer", "window"]
    assert not handling["button"]._gripper_always_closed
    for name, oracle in handling.items():
        assert type(oracle).__name__ == f"{name.capitalize()}{kind}"


def test_a_plan_has_the_official_noise(puzzle_play):
    oracle = manipulation.make_oracles(puzzle_play.protocol, puzzle_play.environment)["button"]
    assert (oracle._noise, oracle._noise_smoothing, oracle._dt) == (0.1, 0.5, 0.4)


class CountingScene:
    """An environment whose observations and infos carry the number of steps; targets alternate between two kinds."""

    def __init__(self):
        self.steps, self.targets = 0, 0

    @property
    def unwrapped(self):
        return self

    def info(self):
        names = ("prev_qpos", "prev_qvel")
        kind = "drawer" if self.targets % 2 else "cube"
        return {"step": self.steps, "privileged/target_task": kind, "success": True} | dict.fromkeys(names, np.zeros(1))

    def reset(self, seed):
        self.seed = seed
        return np.array([0.0]), self.info()

    def step(self, _action):
        self.steps += 1
        return np.array([float(self.steps)]), 0.0, False, False, self.info()

    def set_new_target(self, p_stack):
        assert p_stack == 0.5
        self.targets += 1
        return np.array([100.0 + self.steps]), self.info() | {"step": 100 + self.steps}


class CountingOracle:
    """Done at every second action; notes what it is told."""

    def __init__(self, log, name):
        self.log, self.name, self.actions = log, name, 0

    @property
    def done(self):
        return self.actions == 2

    def reset(self, observation, info):
        self.actions = 0
        self.log.append(("reset", self.name, observation[0], info["step"]))

    def select_action(self, observation, info):
        self.actions += 1
        self.log.append(("act", self.name, observation[0], info["step"]))
        return np.zeros(5)


def test_a_new_target_is_told_to_the_oracle_but_the_next_action_sees_the_steps_own_info(scene_noisy, monkeypatch):
    log = []
    oracles = {name: CountingOracle(log, name) for name in ("cube", "drawer")}
    monkeypatch.setattr(manipulation, "make_oracles", lambda *_: oracles)
    monkeypatch.setattr(scene_noisy, "environment", CountingScene())
    monkeypatch.setattr(scene_noisy, "protocol", find_protocol("scene-play"))
    monkeypatch.setattr(scene_noisy, "episode_rows", 5)
    episode = scene_noisy._attempt(EpisodeSeeds.derive(0, 0), silent)
    assert log == [
        ("reset", "cube", 0, 0),
        ("act", "cube", 0, 0),
        ("act", "cube", 1, 1),
        ("reset", "drawer", 102, 102),
        ("act", "drawer", 2, 2),
        ("act", "drawer", 3, 3),
        ("reset", "cube", 104, 104),
        ("act", "cube", 4, 4),
    ]
    assert episode.arrays["observations"][:, 0].tolist() == [0, 1, 2, 3, 4]
    achieved = {"cube attempted": 1, "cube achieved": 1, "drawer attempted": 1, "drawer achieved": 1}
    assert episode.counts == achieved


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "episodes", "kind", "least"),
    [
        ("cube-single-play", 20, "cube", 0.95),
        ("cube-single-noisy", 10, "cube", 0.9),
        ("cube-double-play", 5, "cube", 0.85),
        ("cube-triple-play", 5, "cube", 0.8),
        ("cube-quadruple-play", 5, "cube", 0.8),
        ("scene-play", 10, "cube", 0.8),
        ("scene-play", 10, "button", 0.9),
        ("puzzle-3x3-noisy", 3, "button", 0.95),
        ("puzzle-4x4-play", 3, "button", 0.95),
        ("puzzle-4x5-play", 3, "button", 0.95),
        ("puzzle-4x6-noisy", 3, "button", 0.95),
    ],
)
def test_oracles_achieve_their_sub_tasks(name, episodes, kind, least):
    protocol = find_protocol(name)
    collector = ManipulationCollector(protocol, protocol.episode_rows)
    counts = sum((collector.collect(0, k, silent).counts for k in range(episodes)), Counter())
    assert counts[f"{kind} achieved"] / counts[f"{kind} attempted"] > least
