"""Whole commands on tiny datasets in real environments: files, exit codes, kills and resumes."""

from collections.abc import Iterable
from typing import ClassVar

import pytest

import offlow_dac.main
from offlow_core.jax.learner import JaxLearner
from offlow_core.testing.run_battery import RunBattery
from offlow_core.training.run_directory import RunDirectory

SMALL = [
    "--hidden_dims=8",
    "--T=2",
    "--num_qs=2",
    "--num_q_samples=2",
    "--num_action_samples=2",
    "--batch_size=8",
    "--num_seed=1",
    "--reward_tune=no",
]


class TestRuns(RunBattery):
    """The battery; the long run is offline to 6, in passes over the data, and online to 20."""

    command = offlow_dac.main
    learner = JaxLearner
    variants: ClassVar = {"dac": [*SMALL, "--eta_lr=0.001"], "dbc": ["--agent=dbc", *SMALL]}
    slow_variants = ("dbc",)
    quick = "dac"
    long = (*SMALL, "--max_steps=20", "--finetune_step=6", "--buffer_size=40", "--eta_lr=0.001")
    kills = (pytest.param(4, id="offline", marks=pytest.mark.slow), pytest.param(16, id="online"))
    policies = ("policy", "single_sample")
    d4rl_rules = "dac"
    diverge = ("--actor_lr=1e30",)

    @classmethod
    def finished_files(cls, run: RunDirectory) -> Iterable[str]:
        return ["results"]
