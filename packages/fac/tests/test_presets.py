"""The published tables: how many rows there are, that each one parses, and rows that can be read in the papers."""

from collections import Counter

import pytest

from offlow_core.option_checks import OptionError
from offlow_core.suites import canonical_name, resolve
from offlow_fac.presets import preset, table

OGBENCH_TASKS = [f"task{number}" for number in range(1, 6)]


def families(name: str, agent: str) -> Counter:
    """Rows per suite: OGBench with states or images, and D4RL's three domains."""

    def family(task: str) -> str:
        if "singletask" in task:
            return "visual" if task.startswith("visual-") else "state"
        return {"antmaze": "antmaze", "halfcheetah": "mujoco", "hopper": "mujoco", "walker2d": "mujoco"}.get(
            task.split("-")[0], "adroit"
        )

    return Counter(family(task) for task in table(name, agent).rows)


def test_counts_of_published_configurations():
    assert families("paper", "fac") == {"state": 50, "visual": 5, "mujoco": 9, "antmaze": 6, "adroit": 8}
    assert len(table("paper", "fac").rows) == 78
    assert families("paper", "fql") == {"state": 50, "visual": 5, "mujoco": 9, "antmaze": 6, "adroit": 12}
    assert sum("FAC README" in source for source in table("paper", "fql").sources.values()) == 9
    assert families("paper_online", "fql") == {"state": 5, "antmaze": 6, "adroit": 4}


@pytest.mark.parametrize(("name", "agent"), [("paper", "fac"), ("paper", "fql"), ("paper_online", "fql")])
def test_rows_are_canonical_names_with_a_source_and_ogbench_tasks_keep_the_papers_success_timing(name, agent):
    published = table(name, agent)
    for task, settings in published.rows.items():
        assert canonical_name(task) == task
        assert resolve(task).suite == ("ogbench" if "singletask" in task else "d4rl")
        assert published.sources[task]
        assert settings.get("success_timing") == ("post" if "singletask" in task else None)


@pytest.mark.parametrize("agent", ["fac", "fql"])
def test_the_five_tasks_of_an_environment_share_their_settings(agent):
    rows = table("paper", agent).rows
    for task, settings in rows.items():
        if "singletask" in task and not task.startswith("visual-"):
            first, _, _ = task.partition("-task")
            assert [rows[f"{first}-{number}-v0"] for number in OGBENCH_TASKS] == [settings] * 5


SAMPLES = [
    (
        "fac",
        "humanoidmaze-medium-navigate-singletask-task3-v0",
        {
            "agent.fac_alpha": "0.5",
            "agent.fac_lambda": "0.3",
            "agent.q_agg": "mean",
            "agent.logp_method": "hutch-rade",
            "success_timing": "post",
        },
    ),
    (
        "fac",
        "visual-puzzle-4x4-play-singletask-task1-v0",
        {
            "agent.fac_alpha": "5.0",
            "agent.fac_lambda": "0.3",
            "agent.q_agg": "mean",
            "agent.encoder": "impala_small",
            "offline_steps": "500000",
            "p_aug": "0.5",
            "frame_stack": "3",
            "success_timing": "post",
        },
    ),
    ("fac", "halfcheetah-medium-expert-v2", {"agent.fac_alpha": "0.5", "agent.fac_lambda": "0.003"}),
    (
        "fac",
        "antmaze-medium-diverse-v2",
        {"agent.fac_alpha": "5.0", "agent.fac_lambda": "0.1", "agent.fac_threshold": "dataset_wide_constant"},
    ),
    (
        "fac",
        "relocate-cloned-v1",
        {"agent.fac_alpha": "5.0", "agent.fac_lambda": "10.0", "agent.logp_method": "hutch-rade"},
    ),
    ("fql", "walker2d-medium-v2", {"agent.alpha": "300.0"}),
    (
        "fql",
        "pen-expert-v1",
        {"agent.alpha": "3000", "agent.discount": "0.99", "agent.q_agg": "min", "offline_steps": "500000"},
    ),
]


@pytest.mark.parametrize(("agent", "task", "settings"), SAMPLES)
def test_sample_rows(agent, task, settings):
    assert preset("paper", agent, task) == settings


def test_online_fine_tuning_uses_settings_of_its_own():
    offline = preset("paper", "fql", "humanoidmaze-medium-navigate-singletask-v0")
    online = preset("paper_online", "fql", "humanoidmaze-medium-navigate-singletask-v0")
    assert (offline["agent.alpha"], online["agent.alpha"]) == ("30", "100")
    assert (online["offline_steps"], online["online_steps"]) == ("1000000", "1000000")


@pytest.mark.parametrize(
    ("name", "agent", "task", "message"),
    [
        ("paper", "fac", "cube-single-plai-singletask-v0", "published FAC settings .*cube-single-play-singletask-task"),
        ("paper", "fac", "door-expert-v1", "no published FAC settings for 'door-expert-v1'; .*door-"),
        ("paper_online", "fac", "pen-cloned-v1", "no preset 'paper_online' for fac; there are: --preset paper"),
    ],
)
def test_what_is_not_published_is_said(name, agent, task, message):
    with pytest.raises(OptionError, match=message):
        preset(name, agent, task)
