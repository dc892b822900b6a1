import pickle

import pytest

from offlow_core.suites import SuiteOptions, TaskNameError, canonical_name, resolve
from offlow_core.suites.d4rl_names import all_names, parse
from offlow_core.suites.d4rl_rules import RULES
from offlow_core.suites.score import SUCCESS

LOCOMOTION = ("medium", "medium-replay", "medium-expert")
MAZES = ("umaze", "umaze-diverse", "medium-play", "medium-diverse", "large-play", "large-diverse")
# Names in the command lines and tables of the READMEs of FAC, DeFlow, SAC Flow, Diffusion-QL and DAC, and widths of
# observations and actions.
PUBLISHED = {
    **{f"halfcheetah-{variant}-v2": (17, 6) for variant in LOCOMOTION},
    **{f"hopper-{variant}-v2": (11, 3) for variant in LOCOMOTION},
    **{f"walker2d-{variant}-v2": (17, 6) for variant in LOCOMOTION},
    **{f"antmaze-{maze}-v{version}": (29, 8) for maze in MAZES for version in (0, 2)},
    **{f"pen-{variant}-v1": (45, 24) for variant in ("human", "cloned", "expert")},
    **{f"door-{variant}-v1": (39, 28) for variant in ("human", "cloned", "expert")},
    **{f"hammer-{variant}-v1": (46, 26) for variant in ("human", "cloned", "expert")},
    **{f"relocate-{variant}-v1": (39, 30) for variant in ("human", "cloned", "expert")},
    **{f"kitchen-{variant}-v0": (60, 9) for variant in ("complete", "partial", "mixed")},
}


@pytest.mark.parametrize(("name", "widths"), PUBLISHED.items())
def test_every_published_name_resolves(name, widths):
    task = resolve(name)
    assert (task.suite, task.name, task.canonical_name) == ("d4rl", name, name)
    family = parse(name).family
    assert (family.observation_width, family.action_width) == widths


def test_all_names():
    # Four robots x 6 datasets, 6 mazes in two versions, four hand tasks x 3 and three kitchens.
    assert len(all_names()) == len(set(all_names())) == 4 * 6 + 2 * 6 + 4 * 3 + 3
    assert set(PUBLISHED) < set(all_names())
    assert all(canonical_name(name) == resolve(name).name == name for name in all_names())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("hopper-medium-replay-v2", "gym_mujoco_v2/hopper_medium_replay-v2.hdf5"),
        ("ant-full-replay-v2", "gym_mujoco_v2/ant_full_replay-v2.hdf5"),
        ("door-human-v1", "hand_dapg_v1/door-human-v1.hdf5"),
        ("kitchen-complete-v0", "kitchen/mini_kitchen_microwave_kettle_light_slider-v0.hdf5"),
        ("kitchen-partial-v0", "kitchen/kitchen_microwave_kettle_light_slider-v0.hdf5"),
        ("kitchen-mixed-v0", "kitchen/kitchen_microwave_kettle_bottomburner_light-v0.hdf5"),
    ],
)
def test_files_are_those_of_d4rl(name, path):
    assert parse(name).path == path
    assert path.endswith(f"/{parse(name).file}")


@pytest.mark.parametrize(
    ("maze", "file"),
    [
        ("umaze", "u-maze_noisy_multistart_False_multigoal_False_sparse"),
        ("umaze-diverse", "u-maze_noisy_multistart_True_multigoal_True_sparse"),
        ("medium-play", "big-maze_noisy_multistart_True_multigoal_False_sparse"),
        ("medium-diverse", "big-maze_noisy_multistart_True_multigoal_True_sparse"),
        ("large-play", "hardest-maze_noisy_multistart_True_multigoal_False_sparse"),
        ("large-diverse", "hardest-maze_noisy_multistart_True_multigoal_True_sparse"),
    ],
)
def test_files_of_the_mazes_are_those_of_d4rl(maze, file):
    assert parse(f"antmaze-{maze}-v0").path == f"ant_maze_new/Ant_maze_{file}.hdf5"
    assert parse(f"antmaze-{maze}-v2").path == f"ant_maze_v2/Ant_maze_{file}_fixed.hdf5"


def test_no_two_names_share_a_file():
    assert len({parse(name).file for name in all_names()}) == len(all_names())


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("walker2d-random-v2", 1000),
        ("antmaze-umaze-diverse-v0", 700),
        ("antmaze-large-play-v2", 1000),
        ("pen-cloned-v1", 100),
        ("hammer-cloned-v1", 200),
        ("kitchen-mixed-v0", 280),
    ],
)
def test_time_limits(name, steps):
    assert resolve(name).episode_steps == steps


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("halfcheetah-random-v2", -280.178953, 12135.0),
        ("hopper-medium-v2", -20.272305, 3234.3),
        ("walker2d-expert-v2", 1.629008, 4592.3),
        ("ant-medium-expert-v2", -325.6, 3879.7),
        ("pen-human-v1", 96.262799, 3076.8331017826877),
        ("door-cloned-v1", -56.512833, 2880.5693087298737),
        ("hammer-expert-v1", -274.856578, 12794.134825156867),
        ("relocate-expert-v1", -6.425911, 4233.877797728884),
        ("kitchen-mixed-v0", 0.0, 4.0),
    ],
)
def test_scores_are_normalised_returns(name, low, high):
    score = resolve(name).score
    assert (score.name, score.column, score.is_share) == ("normalised return", "return", False)
    assert score.of_means({"return": low}) == pytest.approx(0, abs=1e-12)
    assert score.of_means({"return": high}) == pytest.approx(100)
    assert score.of_means({"return": 1.5 * high - 0.5 * low}) == pytest.approx(150)


def test_rewards_met_online_are_shifted_as_those_of_the_dataset():
    assert resolve("antmaze-umaze-v2").reward_shift == -1
    assert resolve("antmaze-umaze-v2", SuiteOptions(d4rl_rules="dac")).reward_shift == 0
    assert resolve("hopper-medium-v2").reward_shift == 0


def test_in_antmaze_the_score_is_the_success_rate():
    assert {resolve(f"antmaze-{maze}-v{version}").score for maze in MAZES for version in (0, 2)} == {SUCCESS}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("halfcheetah-medium-v0", "halfcheetah-medium-v2"),
        ("hopper-medium-v1", "hopper-medium-v2"),
        ("antmaze-umaze-v1", "antmaze-umaze-v"),
        ("antmaze-umaze-play-v2", "antmaze-umaze-v2"),
        ("antmaze-large-v2", "antmaze-large-play-v2"),
        ("pen-human-v0", "pen-human-v1"),
        ("door-medium-v1", "door-human-v1"),
        ("kitchen-mixed-v1", "kitchen-mixed-v0"),
        ("walker2d-meduim-v2", "walker2d-medium-v2"),
        ("Hopper-medium-v2", "hopper-medium-v2"),
        ("hopper-medium-v2 ", "hopper-medium-v2"),
    ],
)
def test_a_near_miss_is_refused_with_the_nearest_names(name, near):
    assert parse(name) is None
    with pytest.raises(TaskNameError, match=f"the nearest names are: .*{near}"):
        resolve(name)


def test_ogbench_has_its_own_mazes():
    assert resolve("antmaze-large-navigate-singletask-v0").suite == "ogbench"
    assert resolve("antmaze-large-play-v0").suite == "d4rl"


def test_a_task_can_be_sent_to_another_process():
    task = pickle.loads(pickle.dumps(resolve("antmaze-medium-play-v0", SuiteOptions(d4rl_goal_seed=3))))
    assert task.semantics()["goal_seed"] == 3


def test_semantics_name_what_can_change_a_result():
    semantics = resolve("antmaze-umaze-v0", SuiteOptions(d4rl_rules="dac")).semantics()
    expected = {
        "suite": "d4rl",
        "environment": "antmaze-umaze",
        "version": 0,
        "dataset": "Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse.hdf5",
        "goal": "drawn once and kept",
        "goal_seed": 0,
        "score": "success",
        "score_bounds": [0.0, 1.0],
    }
    assert {key: semantics[key] for key in expected} == expected
    assert semantics["dataset_rules"] == {
        "name": "dac",
        "rows": "D4RL's qlearning_dataset",
        "trajectory_ends": "discontinuities and terminals",
        "reward_shift": 0.0,
        "actions": "clipped to +-(1 - 1e-5)",
    }
    assert {"mujoco", "gymnasium"} <= set(semantics["versions"])


def test_every_choice_of_rules_has_an_entry():
    assert [SuiteOptions(d4rl_rules=name).d4rl_rules for name in RULES] == list(RULES)
    with pytest.raises(ValueError, match=r"d4rl_rules must be one of \['fql', 'dac', 'diffusion_ql'\], got 'cql'"):
        SuiteOptions(d4rl_rules="cql")


@pytest.mark.parametrize("name", ["hopper-medium-v2", "ant-medium-v2", "antmaze-umaze-v0", "antmaze-large-play-v2"])
def test_environments_have_the_widths_of_the_datasets(name):
    family = parse(name).family
    env = resolve(name).make_environment()
    assert env.observation_space.shape == (family.observation_width,)
    assert env.action_space.shape == (family.action_width,)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (family.observation_width,)
    env.close()


def test_the_goal_of_version_0_follows_its_option():
    name = "antmaze-umaze-v0"
    goals = []
    for seed in (0, 0, 1):
        env = resolve(name, SuiteOptions(d4rl_goal_seed=seed)).make_environment()
        goals.append(env.unwrapped.goal.tolist())
        env.close()
    assert goals[0] == goals[1] != goals[2]


def test_states_are_stacked_where_the_options_say_so():
    env = resolve("hopper-medium-v2", SuiteOptions(frame_stack=2)).make_environment()
    observation, _ = env.reset(seed=0)
    assert observation.shape == env.observation_space.shape == (22,)
    env.close()
