"""DeFlow's rule by task; `offlow data iav` shows it."""

import pytest

from offlow_core.suites import canonical_name, d4rl, ogbench
from offlow_core.suites.target_divergence import FACTORS, recommended_target_divergence

FINE = "published: fine manipulation (OGBench's cube and scene)"
MOVEMENT = "published: navigation and locomotion"
ALIKE = "published for navigation and locomotion, though with no value for this task"


@pytest.mark.parametrize(
    ("names", "factor", "rule"),
    [
        (["cube-single-play-singletask-v0", "cube-quadruple-noisy-singletask-task3-v0"], 0.1, FINE),
        (["scene-play-singletask-v0", "visual-scene-play-singletask-task1-v0"], 0.1, FINE),
        (["antmaze-giant-navigate-singletask-v0", "humanoidmaze-medium-stitch-singletask-v0"], 1, MOVEMENT),
        (["antsoccer-arena-navigate-singletask-v0", "antmaze-umaze-v0", "D4RL/antmaze/umaze-v1"], 1, MOVEMENT),
        (["pointmaze-teleport-navigate-singletask-v0", "D4RL/pointmaze/open-v2"], 1, ALIKE),
        (["hopper-medium-v2", "walker2d-medium-replay-v2", "halfcheetah-expert-v2", "ant-medium-v2"], 1, ALIKE),
        (["mujoco/hopper/medium-v0", "mujoco/humanoid/expert-v0", "mujoco/swimmer/simple-v0"], 1, ALIKE),
    ],
)
def test_published_cases(names, factor, rule):
    for name in names:
        advice = recommended_target_divergence(0.02, canonical_name(name))
        assert (advice.target_divergence, advice.factor, advice.rule) == (0.02 * factor, factor, rule), name


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["puzzle-3x3-play-singletask-v0", "visual-puzzle-4x4-play-singletask-v0"], "puzzles"),
        (["pen-human-v1", "door-expert-v1", "hammer-cloned-v1", "relocate-expert-v1", "D4RL/door/human-v2"], "a hand"),
        (["kitchen-complete-v0", "kitchen-mixed-v0", "D4RL/kitchen/mixed-v2"], "manipulation; there is no rule"),
        (["own/cube", "own/antmaze-large", "me/cube/play-v0", "mujoco/reacher/expert-v0", None], "nothing is known"),
    ],
)
def test_cases_without_a_published_rule_say_so(names, reason):
    for name in names:
        advice = recommended_target_divergence(0.02, name and canonical_name(name))
        assert advice.rule.startswith("ours: "), name
        assert reason in advice.rule, name
        assert advice.target_divergence == advice.factor * 0.02


def test_every_task_of_the_benchmarks_has_a_case():
    for name in [*ogbench.all_names(), *d4rl.all_names()]:
        advice = recommended_target_divergence(1.0, canonical_name(name))
        assert advice.factor in FACTORS
        assert "nothing is known" not in advice.rule, name
