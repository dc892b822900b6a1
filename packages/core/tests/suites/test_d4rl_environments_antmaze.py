"""AntMaze: model, goals, starts, rewards and ends as in D4RL."""

import gymnasium.envs.mujoco
import mujoco
import numpy as np
import pytest

from offlow_core.suites.d4rl_environments import make_environment, semantics
from offlow_core.suites.d4rl_environments.antmaze_model import MAPS, build_model, cell_centres
from offlow_core.suites.mujoco_repairs import restore_contact_margin

MAZES = ["antmaze-umaze", "antmaze-medium", "antmaze-large"]
# Lower corners of the squares, 1.5 wide, in which goals fall.
CORNERS = {"antmaze-umaze": (0, 8), "antmaze-medium": (20, 20), "antmaze-large": (32, 24)}
WALLS = {"antmaze-umaze": 18, "antmaze-medium": 38, "antmaze-large": 62}
STILL = np.zeros(8, np.float32)


def make(maze: str = "antmaze-umaze", version: int = 2, **options):
    return make_environment(maze, version, legacy_contact_margin=True, **options)


@pytest.fixture(scope="module", params=MAZES)
def maze(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(maze) -> mujoco.MjModel:
    return build_model(maze)


def test_control(model):
    env = make().unwrapped
    assert model.opt.timestep == 0.02
    assert env.frame_skip == 5
    assert env.dt == pytest.approx(0.1)
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert model.actuator_gear[:, 0].tolist() == [30.0] * 8
    assert model.actuator_ctrlrange.tolist() == [[-1.0, 1.0]] * 8
    joints = [model.joint(i).name for i in model.actuator_trnid[:, 0]]
    assert joints == ["hip_4", "ankle_4", "hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3"]


def test_contacts(model):
    assert np.unique(model.geom_solref, axis=0).tolist() == [[0.02, 1.0]]
    assert np.unique(model.geom_solimp[:, :3], axis=0).tolist() == [[0.8, 0.8, 0.01]]
    assert np.unique(model.geom_friction, axis=0).tolist() == [[1.0, 0.5, 0.5]]
    assert set(model.geom_margin) == {0.01}
    assert set(model.geom_condim) == {3}


def test_the_ant_is_gymnasiums():
    """Geoms, masses and joints; what D4RL changes is in the options and the motors."""
    plain = mujoco.MjModel.from_xml_path(f"{gymnasium.envs.mujoco.__path__[0]}/assets/ant.xml")
    ours = build_model("antmaze-umaze")
    joints = ("jnt_type", "jnt_range", "jnt_axis", "jnt_pos", "dof_damping", "dof_armature", "qpos0")
    for name in ("body_mass", "body_inertia", "body_pos", *joints):
        np.testing.assert_array_equal(getattr(ours, name), getattr(plain, name), err_msg=name)
    ant, plain_ant = ours.geom_bodyid > 0, plain.geom_bodyid > 0
    for name in ("geom_size", "geom_pos", "geom_quat", "geom_type", "geom_contype", "geom_conaffinity"):
        np.testing.assert_array_equal(getattr(ours, name)[ant], getattr(plain, name)[plain_ant], err_msg=name)


def test_walls_are_boxes_of_four_by_four_by_two(maze, model):
    walls = model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
    assert walls.sum() == sum(row.count("1") for row in MAPS[maze]) == WALLS[maze]
    assert np.unique(model.geom_size[walls], axis=0).tolist() == [[2.0, 2.0, 1.0]]
    assert set(model.geom_contype[walls]) == set(model.geom_conaffinity[walls]) == {1}
    expected = {
        (4.0 * j - 4, 4.0 * i - 4, 1.0) for i, row in enumerate(MAPS[maze]) for j, cell in enumerate(row) if cell == "1"
    }
    assert {tuple(position) for position in model.geom_pos[walls]} == expected


def test_an_ant_touches_walls_in_wall_cells_only(maze, model):
    data = mujoco.MjData(model)
    walls = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_BOX)
    for kind, touches in [("1", True), ("0", False), ("R", False), ("G", False)]:
        for xy in cell_centres(maze, kind):
            data.qpos[:2] = xy
            mujoco.mj_forward(model, data)
            touched = set(data.contact.geom.ravel()) & set(walls)
            assert bool(touched) is touches, (kind, xy)


@pytest.mark.parametrize(("distance", "contacts"), [(0.0101, 0), (0.0099, 1)])
def test_torso_and_floor_touch_at_the_distance_of_their_margin(distance, contacts):
    env = make().unwrapped
    env.data.qpos[:] = env.init_qpos
    env.data.qpos[2] = 0.25 + distance  # the torso's radius; with all joints at 0 the legs are higher
    mujoco.mj_forward(env.model, env.data)
    assert env.data.ncon == contacts


def test_the_repair_applies_to_the_whole_model(model):
    repaired = build_model("antmaze-umaze")
    restore_contact_margin(repaired)
    assert set(repaired.geom_margin) == {0.005}


def test_goals_of_version_2_are_drawn_anew_all_over_their_square(maze):
    env = make(maze)
    goals = []
    for seed in range(400):
        env.reset(seed=seed)
        goals.append(env.unwrapped.goal)
    offsets = np.array(goals) - CORNERS[maze]
    assert offsets.min() >= 0
    assert offsets.max() <= 1.5
    # The sum of U(0, 1) and U(0, 0.5): mean 0.75, variance 5/48; 400 draws have a standard error of 0.016.
    np.testing.assert_allclose(offsets.mean(axis=0), 0.75, atol=0.06)
    np.testing.assert_allclose(offsets.var(axis=0), 5 / 48, rtol=0.2)
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.2
    assert offsets.min() < 0.1
    assert offsets.max() > 1.4


def test_goals_of_version_2_depend_on_the_seed():
    first, second = make(), make(goal_seed=1)
    for env, seed in [(first, 5), (second, 6), (second, 5)]:
        env.reset(seed=seed)
    np.testing.assert_array_equal(first.unwrapped.goal, second.unwrapped.goal)
    env = make()
    env.reset(seed=5)
    env.reset()
    assert not np.array_equal(first.unwrapped.goal, env.unwrapped.goal)


def test_version_0_keeps_the_goal_that_its_seed_decides(maze):
    env, same, other = make(maze, 0), make(maze, 0), make(maze, 0, goal_seed=1)
    goal = env.unwrapped.goal
    for seed in range(20):
        env.reset(seed=seed)
        np.testing.assert_array_equal(env.unwrapped.goal, goal)
    np.testing.assert_array_equal(same.unwrapped.goal, goal)
    assert not np.array_equal(other.unwrapped.goal, goal)
    goals = np.array([make(maze, 0, goal_seed=seed).unwrapped.goal for seed in range(10)]) - CORNERS[maze]
    assert goals.min() >= 0
    assert goals.max() <= 1.5


def test_semantics_tell_how_goals_are_drawn():
    kept, drawn = (semantics("antmaze-large", version, True, goal_seed=3) for version in (0, 2))
    assert (kept["goal"], kept["goal_seed"]) == ("drawn once and kept", 3)
    assert drawn["goal"] == "drawn anew at every reset"
    assert "goal_seed" not in drawn


def test_the_disc_that_is_drawn_lies_at_the_goal():
    env = make()
    env.reset(seed=0)
    env.step(STILL)
    np.testing.assert_allclose(env.unwrapped.data.site("goal").xpos[:2], env.unwrapped.goal)


def test_starts():
    env = make("antmaze-medium")
    starts = np.array([env.reset(seed=seed)[0] for seed in range(400)], np.float64)
    np.testing.assert_allclose(np.linalg.norm(starts[:, 3:7], axis=1), 1, atol=1e-6)
    straight = [0, 0, 0.75, *[0] * 8]
    noise = starts[:, [0, 1, 2, *range(7, 15)]] - straight
    assert np.abs(noise).max() <= 0.1 + 1e-6
    np.testing.assert_allclose(noise.std(axis=0), 0.1 / np.sqrt(3), rtol=0.15)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.012)
    np.testing.assert_allclose(starts[:, 15:].std(axis=0), 0.1, rtol=0.15)
    np.testing.assert_allclose(starts[:, 15:].mean(axis=0), 0, atol=0.02)


def test_observations_are_positions_and_velocities():
    env = make()
    observation, _ = env.reset(seed=1)
    data = env.unwrapped.data
    np.testing.assert_array_equal(observation, np.append(data.qpos, data.qvel).astype(np.float32))
    observation = env.step(np.ones(8, np.float32))[0]
    np.testing.assert_array_equal(observation, np.append(data.qpos, data.qvel).astype(np.float32))


@pytest.mark.parametrize(("distance", "reached"), [(0.499, True), (0.501, False)])
def test_the_goal_is_reached_within_a_half(distance, reached):
    env, ahead = make(), make()
    env.reset(seed=2)
    ahead.reset(seed=2)
    arrival = ahead.step(STILL)[0][:2].astype(np.float64)
    env.unwrapped.goal = arrival + distance * np.array([0.6, 0.8])
    _, reward, terminated, truncated, info = env.step(STILL)
    assert (reward, terminated, truncated, info) == (float(reached), reached, False, {"success": float(reached)})


def test_falling_over_ends_nothing():
    env = make()
    env.reset(seed=0)
    data = env.unwrapped.data
    data.qpos[3:7] = [0, 1, 0, 0]  # on its back
    for _ in range(30):
        observation, reward, terminated, truncated, _ = env.step(STILL)
        assert (reward, terminated, truncated) == (0.0, False, False)
    assert observation[2] < 0.5


def test_torques_are_clipped_and_thirty_times_the_action():
    env, clipped = make(), make()
    for e, action in [(env, np.full(8, 3.0)), (clipped, np.ones(8))]:
        e.reset(seed=0)
        e.step(action)
    np.testing.assert_array_equal(env.unwrapped.data.qpos, clipped.unwrapped.data.qpos)
    np.testing.assert_array_equal(clipped.unwrapped.data.qfrc_actuator[6:], np.full(8, 30.0))
