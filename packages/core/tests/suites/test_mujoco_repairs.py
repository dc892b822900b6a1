import gymnasium
import mujoco
import numpy as np
import pytest

from offlow_core.suites import SuiteOptions, mujoco_repairs, resolve
from offlow_core.suites.mujoco_repairs import RepairError, margins_add_up, restore_contact_margin

ANT = "antmaze-medium-navigate-singletask-v0"


def balls(distance: float, margins: tuple[float, ...]) -> mujoco.MjModel:
    """Balls of radius 1 in a row, with this distance between their surfaces."""
    bodies = "".join(
        f'<body pos="{i * (2 + distance)} 0 0"><freejoint/><geom size="1" margin="{margin}"/></body>'
        for i, margin in enumerate(margins)
    )
    return mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{bodies}</worldbody></mujoco>")


def touching(model: mujoco.MjModel) -> int:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data.ncon


@pytest.mark.parametrize("margin", [0.1, 0.01])
def test_two_geoms_of_margin_m_first_touch_at_distance_m(margin):
    for distance, contacts in [(1.01 * margin, 0), (0.99 * margin, 1)]:
        model = balls(distance, (margin, margin))
        restore_contact_margin(model)
        assert touching(model) == contacts


@pytest.mark.skipif(not margins_add_up(), reason="this MuJoCo still takes the larger of two margins")
def test_without_the_repair_they_touch_at_twice_that_distance():
    assert touching(balls(0.19, (0.1, 0.1))) == 1
    assert touching(balls(0.21, (0.1, 0.1))) == 0


def test_one_geom_without_margin_is_allowed():
    for distance, contacts in [(0.101, 0), (0.099, 1)]:
        model = balls(distance, (0.1, 0.0))
        restore_contact_margin(model)
        assert touching(model) == contacts


def test_models_with_several_margins_are_refused_and_left_alone():
    model = balls(1.0, (0.1, 0.0, 0.0))
    with pytest.raises(RepairError, match=r"all have one contact margin .* has \[0.0, 0.1\]. Turn the option off"):
        restore_contact_margin(model)
    assert model.geom_margin.tolist() == [0.1, 0.0, 0.0]


@pytest.mark.parametrize("name", [ANT, "antsoccer-arena-navigate-singletask-v0"])
def test_ant_tasks_are_repaired_recorded_and_announced_once(name, capsys):
    mujoco_repairs._announced.clear()
    task = resolve(name)
    for _ in range(2):
        assert set(task.make_environment().unwrapped.model.geom_margin) == {0.005 if margins_add_up() else 0.01}
    assert task.semantics()["legacy_contact_margin"] is margins_add_up()
    assert capsys.readouterr().err.count("contact margins as in MuJoCo 3.4") == int(margins_add_up())


def test_the_contact_repair_can_be_turned_off(capsys):
    task = resolve(ANT, SuiteOptions(legacy_contact_margin=False))
    assert set(task.make_environment().unwrapped.model.geom_margin) == {0.01}
    assert task.semantics()["legacy_contact_margin"] is False
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["humanoidmaze-medium-navigate-singletask-v0", "cube-single-play-singletask-v0"])
def test_tasks_without_an_ant_are_left_alone(name):
    semantics = resolve(name).semantics()
    assert semantics["legacy_contact_margin"] is False
    assert semantics["unit_quaternions_at_reset"] is False


def test_the_first_observation_of_an_ant_has_a_unit_quaternion():
    env = resolve(ANT).make_environment()
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        assert np.linalg.norm(observation[3:7]) == pytest.approx(1, abs=1e-6)
        np.testing.assert_array_equal(observation[:15], env.unwrapped.data.qpos.astype(np.float32))


def test_the_quaternions_of_ant_and_ball_are_normalised():
    env = resolve("antsoccer-arena-navigate-singletask-v0").make_environment()
    observation, _ = env.reset(seed=0)
    assert np.linalg.norm(observation[3:7]) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(observation[18:22]) == pytest.approx(1, abs=1e-6)


def test_normalising_changes_only_the_quaternion():
    import ogbench  # noqa: F401 (registers the environments)

    plain = gymnasium.make("antmaze-medium-singletask-task1-v0", disable_env_checker=True)
    np.random.seed(3)  # noqa: NPY002 (the generator that mazes draw from)
    expected, _ = plain.reset(seed=3)
    assert abs(np.linalg.norm(expected[3:7]) - 1) > 1e-3
    expected[3:7] /= np.linalg.norm(expected[3:7])
    observation, _ = resolve(ANT).make_environment().reset(seed=3)
    np.testing.assert_allclose(observation, expected, atol=1e-6)
