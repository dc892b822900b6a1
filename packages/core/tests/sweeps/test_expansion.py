"""Studies and what a command line makes of them."""

from pathlib import Path

import pytest

from offlow_core.sweeps.catalogue import find_tables, overview, published_studies
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.expansion import Selection, expand_tables
from offlow_core.sweeps.job import Job
from offlow_core.sweeps.option_values import read_grid, read_settings, read_values

STUDY = """
title = "Toys"
package = "toy"
tasks = ["corridor-{1..2}", "maze"]
seeds = 2
options = { offline_steps = 10, agent.speed = 1.5 }
[task_options."corridor-*"]
dataset_path = "corridor.npz"
[task_options.corridor-2]
offline_steps = 20
[tables.one]
title = "one agent"
agents = ["a"]
batched_seeds = true
[tables.two]
package = "toy_two"
agents = ["a", "b"]
label = "two"
preset = "paper_online"
tasks = ["maze"]
options = { agent.widths = [8, 8], flag = true }
[tables.two.agent_options.b]
agent.speed = 3
"""


def jobs_of(tmp_path: Path, *targets: str, text: str = STUDY, **selection) -> dict[str, Job]:
    """Jobs by name."""
    (tmp_path / "toys.toml").write_text(text)
    tables = [table for target in targets or ("",) for table in find_tables(f"{tmp_path}/toys.toml{target}")]
    return {job.name: job for job in expand_tables(tables, Selection(**selection))}


def test_a_study_of_ones_own(tmp_path):
    jobs = jobs_of(tmp_path)
    assert len(jobs) == 3 * 2 + 1 * 2 * 2
    job = jobs["corridor-2--a--seed1"]
    assert (job.package, job.command, job.seeds) == ("toy", "toy", (1,))
    assert job.arguments == (
        "--agent=a",
        "--env_name=corridor-2",
        "--offline_steps=20",
        "--agent.speed=1.5",
        "--dataset_path=corridor.npz",
    )
    job = jobs["maze--b--two--preset=paper_online--seed0"]
    assert (job.package, job.command) == ("toy_two", "toy-two")
    assert job.arguments[2:] == (
        "--preset=paper_online",
        "--offline_steps=10",
        "--agent.speed=3",
        "--agent.widths=8,8",
        "--flag=True",
    )


def test_a_selection(tmp_path):
    assert list(jobs_of(tmp_path, "/one", tasks=["corridor-*"], seeds=[5])) == [
        "corridor-1--a--seed5",
        "corridor-2--a--seed5",
    ]
    assert len(jobs_of(tmp_path, agents=["b"])) == 2
    assert list(jobs_of(tmp_path, "/one", tasks=["maze"], together=True)) == ["maze--a--seeds0-1"]
    assert len(jobs_of(tmp_path, "/two", together=True)) == 4  # it does not say that this helps


def test_a_grid_has_a_job_for_every_combination(tmp_path):
    grid = read_grid(["agent.alpha=0.5,1", "agent.widths=[64,64],[8,8]"])
    jobs = jobs_of(tmp_path, "/one", tasks=["maze"], seeds=[0], grid=grid, settings=read_settings(["lr=1e-3"], "set"))
    assert list(jobs) == [
        "maze--a--alpha=0.5--widths=64,64--seed0",
        "maze--a--alpha=0.5--widths=8,8--seed0",
        "maze--a--alpha=1--widths=64,64--seed0",
        "maze--a--alpha=1--widths=8,8--seed0",
    ]
    varied = ("--agent.alpha=0.5", "--agent.widths=[8,8]", "--lr=1e-3")
    assert jobs["maze--a--alpha=0.5--widths=8,8--seed0"].arguments[-3:] == varied


def test_the_default_task_is_known_by_its_short_name():
    (table,) = find_tables("fac/ogbench")
    (job,) = expand_tables([table], Selection(tasks=["cube-single-play-singletask-v0"], seeds=[0]))
    assert "--env_name=cube-single-play-singletask-task2-v0" in job.arguments


def test_jobs_that_tables_share_are_made_once():
    tables = [*find_tables("fac/ogbench"), *find_tables("fac/ogbench-default")]
    assert len(expand_tables(tables, Selection())) == 50 * 8


def test_jobs_that_only_options_tell_apart_need_a_label(tmp_path):
    text = STUDY.replace('package = "toy_two"\n', "").replace('label = "two"\npreset = "paper_online"\n', "")
    with pytest.raises(
        SweepError, match=r"make different jobs called maze--a--seed0: .*--flag=True in the other.*label"
    ):
        jobs_of(tmp_path, text=text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("agents = [", "agent = ["), r"unknown key 'agent'; did you mean agents"),
        (("seeds = 2", "seeds = 0"), "seeds must be at least 1, got 0"),
        (("seeds = 2", "seeds = true"), "seeds must be a TOML integer"),
        (('tasks = ["maze"]', "tasks = [1]"), "tasks must be a list of texts"),
        (('agents = ["a"]', ""), "toys.toml: one: agents is missing"),
        (("{1..2}", "{1..2"), r"toys.toml: one: 'corridor-\{1..2' stands for no task"),
        (("{1..2}", "{2..1}"), "stands for no task"),
        (("flag = true", "flag = 2020-01-01"), "flag: expected a number"),
        (("[tables.one]", "[tables.one"), "cannot be read as a study"),
        (("agent.speed = 3", "x = 3\n[tables.two.agent_options]\na = 3"), "cannot be read|expected options of 'a'"),
    ],
)
def test_wrong_studies_are_refused_with_the_place(tmp_path, change, message):
    assert change[0] in STUDY
    with pytest.raises(SweepError, match=message):
        jobs_of(tmp_path, text=STUDY.replace(*change))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("fak", "no study is called 'fak'; did you mean fac"),
        ("fac/ogbenc", "fac has no table 'ogbenc'; did you mean ogbench"),
        ("nowhere.toml", "nowhere.toml cannot be read as a study"),
    ],
)
def test_unknown_targets_name_the_nearest(target, message):
    with pytest.raises(SweepError, match=message):
        find_tables(target)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"tasks": ["mase"]}, "no chosen table has the task 'mase'; did you mean maze"),
        ({"agents": ["c"]}, "no chosen table has the agent 'c'"),
        ({"tasks": ["corridor-1"], "agents": ["b"]}, "no table has one of these agents on one of these tasks"),
        ({"seeds": [1, 1]}, "seeds must be different"),
        ({"settings": {"seed": "1"}}, "--seed is not free"),
        ({"settings": {"x": "1"}, "grid": {"x": ["1"]}}, "x is in both --grid and --set"),
        ({"seeds": [0, 2], "together": True}, "seeds of one program must be consecutive"),
    ],
)
def test_wrong_selections(tmp_path, selection, message):
    with pytest.raises(SweepError, match=message):
        jobs_of(tmp_path, **selection)


@pytest.mark.parametrize(
    "words", [["alpha"], ["=1"], ["a=1", "a=2"], ["a=1,,2"], ["a=1,1"], ["a=0.1,0.10"], ["a=1e-1,0.1"]]
)
def test_wrong_grids(words):
    with pytest.raises(SweepError, match="--grid"):
        read_grid(words)


def test_words_that_look_alike_are_different_values():
    assert read_grid(["tag=007,7,1_0,10"]) == {"tag": ["007", "7", "1_0", "10"]}


def test_values_for_engines():
    settings = read_settings(["partition=gpu", "mem-gb=16", "ratio=0.5", "exclusive=true"], "slurm")
    assert read_values(settings) == {"partition": "gpu", "mem_gb": 16, "ratio": 0.5, "exclusive": True}


def test_the_published_studies():
    studies = published_studies()
    assert list(studies) == ["dac", "deflow", "diffusion_ql", "fac", "floq", "fql", "sacflow"]
    sizes = {table.path: len(table.tasks) for study in studies.values() for table in study.tables.values()}
    assert (sizes["fac/ogbench"], sizes["fac/pixels"], sizes["fac/adroit"]) == (50, 5, 8)
    assert (sizes["deflow/online"], sizes["dac/locomotion"], sizes["sacflow/scratch"]) == (15, 9, 6)
    assert len(set(studies["fac"].tables["ogbench-default"].tasks) & set(studies["fac"].tables["ogbench"].tasks)) == 10
    for study in studies.values():
        expand_tables(study.tables.values(), Selection())  # no two jobs of a paper have the same name
    assert "fac/ogbench          50 tasks, 400 runs" in overview([studies["fac"]])


def test_the_study_of_the_documentation_can_be_run(tmp_path):
    page = Path(__file__).parents[4] / "docs" / "reproduce.md"
    text = page.read_text().partition("```toml\n")[2].partition("```")[0]
    jobs = jobs_of(tmp_path, text=text, seeds=[0])
    assert len(jobs) == 5 * (2 + 1 + 1)
    fac = jobs["pointmaze-medium-navigate-singletask-task1-v0--fac--seed0"].arguments
    assert {"--agent.actor_hidden_dims=64,64", "--agent.fac_alpha=0.5", "--offline_steps=75000"} <= set(fac)
    assert "--dataset_path=data/pointmaze-medium-navigate-v0.npz" in fac
    assert "--agent.fac_alpha=0" in jobs["pointmaze-medium-navigate-singletask-task1-v0--fac--alpha0--seed0"].arguments
