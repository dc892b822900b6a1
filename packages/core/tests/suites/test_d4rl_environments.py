"""What all environments of D4RL have in common."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from offlow_core.rendering import RenderingError, require_rendering
from offlow_core.suites import d4rl_environments, mujoco_repairs
from offlow_core.suites.d4rl_environments import make_environment, semantics
from offlow_core.suites.d4rl_environments.families import FAMILIES, FamilyError
from offlow_core.suites.mujoco_repairs import margins_add_up

# Widths and time limits of D4RL's tasks.
SIZES = {
    "halfcheetah": (17, 6, 1000),
    "hopper": (11, 3, 1000),
    "walker2d": (17, 6, 1000),
    "ant": (111, 8, 1000),
    "antmaze-umaze": (29, 8, 700),
    "antmaze-medium": (29, 8, 1000),
    "antmaze-large": (29, 8, 1000),
    "pen": (45, 24, 100),
    "door": (39, 28, 200),
    "hammer": (46, 26, 200),
    "relocate": (39, 30, 200),
    "kitchen-complete": (60, 9, 280),
    "kitchen-partial": (60, 9, 280),
    "kitchen-mixed": (60, 9, 280),
}
# Contact margin of all geoms in the model files; hammer has one geom without.
MARGINS = {
    "hopper": 0.001,
    "ant": 0.01,
    **dict.fromkeys(["antmaze-umaze", "antmaze-medium", "antmaze-large"], 0.01),
    **dict.fromkeys(["pen", "door", "hammer", "relocate"], 0.0005),
}
LOCOMOTION = ("halfcheetah", "hopper", "walker2d", "ant")


def make(family: str, **options) -> gymnasium.Env:
    return make_environment(family, 2, legacy_contact_margin=True, **options)


def rollout(env: gymnasium.Env, seed: int, steps: int = 25) -> list[np.ndarray]:
    """Observations and outcomes under actions that depend on nothing else."""
    generator = np.random.default_rng(7)
    values = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        observation, reward, terminated, _, info = env.step(
            generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        )
        values.append(np.append(observation, [reward, float(terminated), info.get("success", 0.0)]))
    return values


@pytest.fixture(scope="module")
def env(family) -> gymnasium.Env:
    return make(family)


def test_there_are_no_other_families():
    assert set(FAMILIES) == set(SIZES)


@pytest.mark.parametrize("family", SIZES, scope="module")
def test_sizes_and_types(family, env):
    observations, actions, _ = SIZES[family]
    assert (FAMILIES[family].observation_width, FAMILIES[family].action_width) == (observations, actions)
    assert env.observation_space == gymnasium.spaces.Box(-np.inf, np.inf, (observations,), np.float32)
    assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (actions,), np.float32)
    first, _ = env.reset(seed=0)
    second, reward, terminated, truncated, info = env.step(np.zeros(actions, np.float32))
    assert first.dtype == second.dtype == np.float32
    assert first.shape == second.shape == (observations,)
    assert isinstance(float(reward), float)
    assert (bool(terminated), bool(truncated)) == (False, False)
    assert info.get("success") == (None if family in LOCOMOTION else 0.0)


@pytest.mark.parametrize("family", SIZES, scope="module")
def test_rollouts_depend_on_the_seed_alone(family, env):
    first = rollout(env, seed=1)
    np.random.seed(0)  # noqa: NPY002 (what others draw must not matter, nor be disturbed)
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    again, other = rollout(env, seed=1), rollout(make(family), seed=1)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert not np.array_equal(first[-1], rollout(env, seed=2)[-1])


@pytest.mark.parametrize("family", SIZES, scope="module")
def test_episodes_are_cut_off_at_the_time_limit(family, env):
    steps = SIZES[family][2]
    assert FAMILIES[family].episode_steps == steps
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    # A walker that has fallen may be stepped on.
    truncations = [env.step(action)[3] for _ in range(steps)]
    assert truncations == [False] * (steps - 1) + [True]


@pytest.mark.parametrize("family", SIZES, scope="module")
def test_contact_margins_are_restored_where_there_are_any(family, capsys):
    mujoco_repairs._announced.clear()
    repaired = family in MARGINS and margins_add_up()
    for _ in range(2):
        model = make(family).unwrapped.model
    if family in MARGINS:
        assert set(model.geom_margin) == {MARGINS[family] / 2 if repaired else MARGINS[family]}
    assert semantics(family, 2, legacy_contact_margin=True)["legacy_contact_margin"] is repaired
    line = f"D4RL {family}: contact margins as in MuJoCo 3.4 and before (legacy_contact_margin)\n"
    assert capsys.readouterr().err == line * repaired


@pytest.mark.parametrize("family", MARGINS)
def test_the_contact_repair_can_be_turned_off(family, capsys):
    model = make_environment(family, 2, legacy_contact_margin=False).unwrapped.model
    assert model.geom_margin.max() == MARGINS[family]
    assert semantics(family, 2, legacy_contact_margin=False)["legacy_contact_margin"] is False
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("family", ["halfcheetah", "walker2d"])
def test_models_without_margins_need_no_repair(family):
    assert not make(family).unwrapped.model.geom_margin.any()


def test_semantics_name_versions_and_what_is_experimental():
    for family in SIZES:
        told = semantics(family, 2, legacy_contact_margin=True)
        assert told["environment"] == family
        assert set(told["versions"]) == {"mujoco", "gymnasium", "gymnasium-robotics"}
        assert told["experimental"] is family.startswith("kitchen-")
        assert told["unit_quaternions_at_reset"] is family.startswith(("ant", "kitchen-"))
        assert ("success" in told) is (family not in LOCOMOTION)


def test_an_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(FamilyError, match="unknown D4RL environment 'antmaze'; expected one of: halfcheetah, hopper"):
        make("antmaze")
    with pytest.raises(FamilyError, match="unknown D4RL environment 'humanoid'"):
        semantics("humanoid", 2, legacy_contact_margin=True)


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode must be None or \"rgb_array\", got 'human'"):
        make("hopper", render_mode="human")


def test_images_need_opengl_before_anything_is_built(monkeypatch):
    def nothing():
        raise RenderingError("no driver was found")

    monkeypatch.setattr(d4rl_environments, "require_rendering", nothing)
    monkeypatch.setattr(d4rl_environments, "_build", None)
    with pytest.raises(RenderingError, match="no driver"):
        make("hopper", render_mode="rgb_array")


@pytest.mark.parametrize("family", ["hopper", "antmaze-umaze", "door"])
def test_frames(family):
    try:
        require_rendering()
    except RenderingError:
        pytest.skip("OpenGL does not work here")
    env = make(family, render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    env.close()
    assert (frame.dtype, frame.shape) == (np.uint8, (480, 480, 3))
    assert frame.std() > 10


def test_users_hear_nothing_of_the_libraries(tmp_path):
    script = (
        "import sys\n"
        "from offlow_core.suites import d4rl_environments\n"
        "assert not {'mujoco', 'gymnasium_robotics'} & set(sys.modules)\n"
        f"for family in {list(SIZES)}:\n"
        "    d4rl_environments.make_environment(family, 2, legacy_contact_margin=False).reset(seed=0)\n"
        "    d4rl_environments.semantics(family, 2, legacy_contact_margin=False)\n"
    )
    command = [sys.executable, "-W", "always", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []
