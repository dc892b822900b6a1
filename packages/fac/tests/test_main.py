"""Whole commands on tiny datasets in real environments: files, exit codes, kills and resumes."""

from typing import ClassVar

import numpy as np
import pytest

import offlow_fac.main
from offlow_core.jax.learner import JaxLearner
from offlow_core.testing.run_battery import RunBattery

SMALL = ["--agent.actor_hidden_dims=8", "--agent.value_hidden_dims=8", "--agent.flow_steps=2", "--agent.batch_size=8"]
FAC = [*SMALL, "--agent.bc_hidden_dims=8", "--bc_steps=6", "--behaviour_flow_cache=none"]


class TestRuns(RunBattery):
    """The battery; the long run trains the behaviour flow to 0, offline to 6 and online to 20."""

    command = offlow_fac.main
    learner = JaxLearner
    variants: ClassVar = {"fac": FAC, "fql": ["--agent=fql", *SMALL]}
    slow_variants = ("fac",)
    quick = "fql"
    long = (*FAC, "--offline_steps=6", "--online_steps=14", "--buffer_size=40", "--balanced_sampling=True")
    long_task = "maze"
    kills = (
        pytest.param(-2, id="behaviour_flow", marks=pytest.mark.slow),
        pytest.param(4, id="offline", marks=pytest.mark.slow),
        pytest.param(16, id="online"),
    )
    preparing_steps = 6
    policies = ("policy", "behaviour_flow")
    d4rl_rules = "fql"

    def test_metrics_are_those_of_the_phase(self, ogbench_run):
        train = ogbench_run.run.read("train")
        assert np.isfinite(train["bc/bc_flow_loss"][:3]).all()
        assert np.isfinite(train["critic/diff_logpi_mean"][3:]).all()
