"""Whole commands on tiny datasets in real environments: files, exit codes, kills and resumes."""

import json
from typing import ClassVar

import numpy as np
import pytest

import offlow_deflow.main
from offlow_core.jax.learner import JaxLearner
from offlow_core.testing.commands import the_run_in
from offlow_core.testing.run_battery import RunBattery

SMALL = ["--agent.actor_hidden_dims=8", "--agent.value_hidden_dims=8", "--agent.batch_size=8"]
DEFLOW = [*SMALL, "--agent.flow_steps=2"]
RETURNS = [*SMALL, "--agent.block_width=8", "--agent.block_depth=1", "--agent.noise_samples=2"]


class TestRuns(RunBattery):
    """The battery; the long run is offline to 6, where the cloned flow stops learning, and online to 20."""

    command = offlow_deflow.main
    learner = JaxLearner
    variants: ClassVar = {
        "deflow": DEFLOW,
        "deflowvf": ["--agent=deflowvf", *RETURNS, "--agent.flow_steps=2"],
        "floq": ["--agent=floq", *RETURNS, "--agent.actor_flow_steps=2"],
    }
    slow_variants = ("deflowvf", "floq")
    quick = "deflow"
    long = (*DEFLOW, "--offline_steps=6", "--online_steps=14", "--buffer_size=40", "--agent.fix_bc_flow_online=True")
    kills = (pytest.param(4, id="offline", marks=pytest.mark.slow), pytest.param(16, id="online"))
    policies = ("policy", "plain", "max_q", "iterative", "behaviour_flow")
    equal_policies = 1  # plain is what a default policy does
    d4rl_rules = "fql"

    def test_what_comes_from_the_data_is_recorded(self, hopper, tmp_path, capfd):
        words = [*hopper, *self.variants["deflowvf"], "--agent.target_divergence=auto", "--offline_steps=2"]
        run = self.train([*words, "--eval_interval=0"], tmp_path)
        recorded = run.manifest["from_data"]
        assert set(recorded) == {"agent.target_divergence", "agent.r_min", "agent.r_max"}
        assert recorded["agent.target_divergence"] > 0
        assert recorded["agent.r_min"] <= 0 <= recorded["agent.r_max"]
        assert run.config["agent"]["target_divergence"] == "auto"
        assert f"= {recorded['agent.target_divergence']:.4g}" in capfd.readouterr().err
        assert np.isfinite(run.read("train")["actor/alpha_value"]).all()
        resumed = [*words, "--offline_steps=4", "--eval_interval=0", f"--save_dir={tmp_path}"]
        assert self.command.main([*resumed, f"--resume={run.path}"]) == 0
        assert the_run_in(tmp_path).manifest == json.loads((run.path / "manifest.json").read_text())
