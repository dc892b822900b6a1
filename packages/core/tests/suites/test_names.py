import subprocess
import sys

import gymnasium
import pytest

from offlow_core.option_checks import OptionError
from offlow_core.suites import SuiteOptions, TaskNameError, canonical_name, resolve, task_names
from offlow_core.suites.ogbench_names import FAMILIES, all_names, parse
from offlow_core.suites.score import SUCCESS


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("cube-single-play-singletask-v0", "cube-single-play-singletask-task2-v0"),
        ("scene-noisy-singletask-v0", "scene-noisy-singletask-task2-v0"),
        ("puzzle-3x3-play-singletask-v0", "puzzle-3x3-play-singletask-task4-v0"),
        ("puzzle-4x6-play-singletask-v0", "puzzle-4x6-play-singletask-task2-v0"),
        ("antmaze-giant-navigate-singletask-v0", "antmaze-giant-navigate-singletask-task1-v0"),
        ("antsoccer-arena-stitch-singletask-v0", "antsoccer-arena-stitch-singletask-task4-v0"),
        ("visual-cube-double-play-singletask-v0", "visual-cube-double-play-singletask-task2-v0"),
        ("cube-single-play-singletask-task5-v0", "cube-single-play-singletask-task5-v0"),
        ("halfcheetah-medium-v2", "halfcheetah-medium-v2"),
        ("nonsense", "nonsense"),
    ],
)
def test_canonical_names_spell_out_the_default_task(name, canonical):
    assert canonical_name(name) == canonical
    assert canonical_name(canonical) == canonical


def test_parts_of_a_name():
    name = parse("visual-antmaze-large-navigate-singletask-task3-v0")
    assert name.environment == "visual-antmaze-large-singletask-task3-v0"
    assert name.state_environment == "antmaze-large-singletask-task3-v0"
    assert name.dataset == "visual-antmaze-large-navigate-v0"


def test_a_task_has_its_names_and_its_time_limit():
    task = resolve("humanoidmaze-giant-stitch-singletask-v0")
    assert (task.suite, task.episode_steps) == ("ogbench", 4000)
    assert task.name == "humanoidmaze-giant-stitch-singletask-v0"
    assert task.canonical_name == "humanoidmaze-giant-stitch-singletask-task1-v0"
    assert task.score == SUCCESS
    assert task.score.of_means({"success": 0.25}) == 25


def test_every_name_of_ogbench_resolves():
    # 8 mazes x 2 types, 3 x explore, 8 x 2 of other mazes, 9 x 2 of manipulation; visual without point and soccer.
    datasets = {parse(resolve(name).name).dataset for name in all_names()}
    state = {name for name in datasets if not name.startswith("visual-")}
    assert len(state) == 4 * 2 + (4 * 2 + 3) + 3 * 2 + 2 * 2 + 9 * 2
    assert len(datasets) == len(state) + (4 * 2 + 3) + 3 * 2 + 9 * 2
    assert len(all_names()) == 6 * len(datasets)
    assert len({canonical_name(name) for name in all_names()}) == 5 * len(datasets)


@pytest.mark.parametrize("name", [n for n in all_names() if parse(n).dataset_type in ("navigate", "play")])
def test_environments_and_time_limits_are_those_of_the_package(name):
    import ogbench  # noqa: F401 (registers the environments)

    task = resolve(name)
    parsed = parse(name)
    assert gymnasium.spec(parsed.environment).max_episode_steps == task.episode_steps
    default = gymnasium.spec(f"{'visual-' * parsed.visual}{parsed.family.name}-singletask-v0")
    assert default.max_episode_steps == task.episode_steps


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_default_tasks_are_those_of_the_package(family):
    import ogbench  # noqa: F401 (registers the environments)

    env = gymnasium.make(f"{family.name}-singletask-v0", disable_env_checker=True)
    assert env.unwrapped._reward_task_id == family.default_task


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cube-single-play-singletsk-v0", "nearest names are: cube-single-play-singletask-v0"),
        ("cube-single-play-v0", "nearest names are: cube-single-play-singletask-v0"),
        ("cube-single-play-singletask-task6-v0", "unknown task .*cube-single-play-singletask-task5-v0"),
        ("antmaze-giant-explore-singletask-v0", "unknown task .*antmaze-giant"),
        ("visual-pointmaze-large-navigate-singletask-v0", "unknown task"),
        ("zzz", r"unknown task 'zzz'; expected a name such as .* \(OGBench\), hopper-medium-v2 \(D4RL\)"),
        ("antmaze-large-play-v1", "nearest names are: antmaze-large-play-v"),
        ("D4RL/door/human", "nearest names are: D4RL/door/human-v2"),
        ("own/my data", r"unknown task .*or own/LABEL \(data of your own\)"),
    ],
)
def test_unknown_names_are_refused_with_help(name, message):
    with pytest.raises(TaskNameError, match=message):
        resolve(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"success_timing": "later"}, "one of"),
        ({"frame_stack": 0}, "at least 1"),
        ({"d4rl_goal_seed": -1}, "d4rl_goal_seed must be at least 0, or None, got -1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SuiteOptions(**options)


@pytest.mark.parametrize(
    "name", ["cube-single-play-singletask-v0", "antmaze-umaze-v0", "D4RL/pen/human-v2", "lift-mh-low_dim", "own/x"]
)
def test_resolving_imports_no_simulator(name):
    heavy = ("mujoco", "ogbench", "robosuite", "gymnasium_robotics", "h5py", "jax", "torch")
    script = (
        f"import sys; from offlow_core.suites import resolve; resolve({name!r});"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_can_be_listed():
    assert {"cube-single-play-singletask-v0", "hopper-medium-v2", "D4RL/door/human-v2"} < set(task_names())
    assert {resolve(name).suite for name in task_names()} == {"ogbench", "d4rl", "robomimic", "gymnasium", "minari"}


def test_own_data_come_before_a_minari_dataset_of_that_name():
    assert resolve("own/mine-v0").suite == "own"


def test_an_environment_of_ones_own_is_for_data_of_ones_own():
    for name in ("hopper-medium-v2", "cube-single-play-singletask-v0"):
        with pytest.raises(OptionError, match="environment is for data of your own"):
            resolve(name, SuiteOptions(environment="Hopper-v5"))
