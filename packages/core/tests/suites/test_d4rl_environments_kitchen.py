"""Kitchen: D4RL's observation, noise, control, reward and end."""

import gymnasium
import numpy as np
import pytest

from offlow_core.suites.d4rl_environments import make_environment
from offlow_core.suites.d4rl_environments.kitchen import ELEMENTS

STILL = np.zeros(9, np.float32)
# The four elements of each task; complete and partial share theirs.
TASKS = {
    "kitchen-complete": ["microwave", "kettle", "light switch", "slide cabinet"],
    "kitchen-partial": ["microwave", "kettle", "light switch", "slide cabinet"],
    "kitchen-mixed": ["microwave", "kettle", "bottom burner", "light switch"],
}


@pytest.fixture(scope="module")
def mixed() -> gymnasium.Env:
    return make_environment("kitchen-mixed", 0, legacy_contact_margin=True)


def put_in_place(env: gymnasium.Env, element: str) -> None:
    places, goals = ELEMENTS[element]
    env.unwrapped.data.qpos[list(places)] = goals


@pytest.mark.parametrize("family", TASKS)
def test_the_goal_is_observed_and_zero_elsewhere(family):
    env = make_environment(family, 0, legacy_contact_margin=True)
    goal = env.reset(seed=0)[0][30:]
    wanted = np.zeros(30, np.float32)
    for element in TASKS[family]:
        places, goals = ELEMENTS[element]
        wanted[list(places)] = goals
    np.testing.assert_array_equal(goal, wanted)
    assert np.count_nonzero(goal) == {"kitchen-mixed": 10}.get(family, 9)
    np.testing.assert_array_equal(env.step(STILL)[0][30:], wanted)


def test_positions_are_observed_with_a_tenth_of_the_configured_noise(mixed):
    starts = np.array([mixed.reset(seed=seed)[0][:30] for seed in range(200)], np.float64)
    true = mixed.unwrapped.data.qpos
    assert np.linalg.norm(true[26:30]) == pytest.approx(1)  # not so in D4RL's list of start positions
    noise = np.abs(starts - true).max(axis=0)
    assert noise[:9].min() > 0.009
    assert noise[:9].max() <= 0.01 + 1e-6
    np.testing.assert_allclose(noise[[9, 11, 17, 20, 23]], [5e-4, 5e-5, 5e-4, 1e-2, 5e-4], rtol=0.1)


def test_actions_are_velocities_from_the_observed_position(mixed):
    observation, _ = mixed.reset(seed=0)
    action = np.array([0.5, -1, 1, -1, 0, 3, 0, 1, -1], np.float32)
    mixed.step(action)
    target = observation[:9] + 2 * np.clip(action, -1, 1) * 0.08
    target[[1, 7, 8]] = [-1.8, 0.04, 0]  # where these joints' ranges end
    np.testing.assert_allclose(mixed.unwrapped.data.ctrl, target, atol=1e-6)


def test_each_element_pays_once_and_the_fourth_ends_the_episode(mixed):
    mixed.reset(seed=0)
    outcomes = []
    for elements in [[], ["microwave"], [], ["bottom burner", "light switch"], ["microwave"], ["kettle"]]:
        for element in elements:
            put_in_place(mixed, element)
        _, reward, terminated, _, info = mixed.step(STILL)
        outcomes.append((reward, terminated, info["success"]))
    going = [(0.0, False, 0.0), (1.0, False, 0.0), (0.0, False, 0.0), (2.0, False, 0.0), (0.0, False, 0.0)]
    assert outcomes == [*going, (1.0, True, 1.0)]
    mixed.reset(seed=1)
    put_in_place(mixed, "microwave")
    assert mixed.step(STILL)[1] == 1.0  # all are to be done again


def test_an_element_that_no_one_asked_for_pays_nothing(mixed):
    mixed.reset(seed=0)
    put_in_place(mixed, "slide cabinet")
    assert mixed.step(STILL)[1:3] == (0.0, False)
