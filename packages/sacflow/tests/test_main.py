"""Whole commands on tiny data in real environments: files, exit codes, kills and resumes."""

from typing import ClassVar

import pytest

import offlow_sacflow.main
from offlow_core.testing.run_battery import RunBattery
from offlow_core.torch.learner import TorchLearner

VALUES = ["--agent.value_hidden_dims=8", "--agent.batch_size=8", "--horizon_length=3"]
SHORT = ["--device=cpu", "--online_steps=0", "--seed=0"]
WIDTH = ["--agent.actor_hidden_dims=8"]
ACFQL = [*SHORT, *VALUES, "--agent=acfql", *WIDTH, "--agent.flow_steps=2"]
TOKENS = ["--agent.transformer_d_model=8", "--agent.transformer_n_head=2", "--agent.transformer_n_layers=1"]


class TestRuns(RunBattery):
    """The battery for agents with chunks; the long run is offline to 6 and online to 20, with updates from 9 on."""

    command = offlow_sacflow.main
    learner = TorchLearner
    variants: ClassVar = {
        "acfql": ACFQL,
        "chunk_flow_t": [*SHORT, *VALUES, "--agent=chunk_flow_t", *TOKENS],
        "chunk_flow_g": [
            *SHORT,
            *VALUES,
            "--agent=chunk_flow_g",
            "--agent.actor_hidden_dims=8",
            "--agent.gate_hidden=8",
        ],
        "chunk_naive": [*SHORT, *VALUES, "--agent=chunk_naive", "--agent.actor_hidden_dims=8"],
    }
    slow_variants = ("chunk_flow_g", "chunk_naive")
    quick = "acfql"
    long = (
        *VALUES,
        *TOKENS,
        *("--agent=chunk_flow_t", "--device=cpu", "--offline_steps=6", "--online_steps=14", "--start_training=3"),
        *("--buffer_size=40", "--utd_ratio=2"),
    )
    kills = (pytest.param(4, id="offline", marks=pytest.mark.slow), pytest.param(16, id="online"))
    d4rl_rules = "fql"
