"""Jobs as values."""

import json

import pytest

from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job import Job, difference, job_name

JOB = Job("name", "diffusion_ql", "diffusion-ql", ("--agent=flow_ql", "--agent.eta=0.5"), (3, 4))


def test_json_and_back():
    assert Job.from_json(json.loads(json.dumps(JOB.to_json()))) == JOB


def test_words_tell_the_seeds():
    assert JOB.words == ["--agent=flow_ql", "--agent.eta=0.5", "--seed=3", "--num_seeds=2"]


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {**JOB.to_json(), "more": 1},
        {**JOB.to_json(), "arguments": "--agent=a"},
        {**JOB.to_json(), "arguments": [1]},
        {**JOB.to_json(), "seeds": ["0"]},
        {**JOB.to_json(), "seeds": [0, 2]},
        {**JOB.to_json(), "package": None},
    ],
)
def test_anything_else_is_refused(content):
    with pytest.raises(SweepError, match=r"expected|consecutive"):
        Job.from_json(content)


def test_names_are_readable_and_fit_for_folders():
    name = job_name("cube-single-play-singletask-task1-v0", "fac", {"agent.fac_alpha": "0.5"}, [2])
    assert name == "cube-single-play-singletask-task1-v0--fac--fac_alpha=0.5--seed2"
    assert job_name("a", "b", {}, range(8)) == "a--b--seeds0-7"
    slashed = job_name("mujoco/hopper/medium-v0", "fac", {}, [0])
    assert slashed.startswith("mujoco_hopper_medium-v0--fac--seed0--")
    assert slashed != job_name("mujoco/hopper_medium-v0", "fac", {}, [0])
    long = [job_name("x" * 300, "b", {}, [seed]) for seed in (0, 1)]
    assert max(map(len, long)) < 200
    assert long[0] != long[1]


def test_the_difference_of_two_jobs():
    other = Job("name", "diffusion_ql", "diffusion-ql", ("--agent=flow_ql", "--agent.eta=1"), (3, 4))
    assert difference(JOB, other) == "--agent.eta=0.5 in the one, --agent.eta=1 in the other"
