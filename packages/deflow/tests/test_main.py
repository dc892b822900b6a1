"""Whole commands on tiny datasets in real environments: files, exit codes, kills and resumes."""

from typing import ClassVar

import pytest

import offlow_deflow.main
from offlow_core.data.action_variance import estimate_action_variance
from offlow_core.jax.learner import JaxLearner
from offlow_core.suites import resolve
from offlow_core.suites.options import SuiteOptions
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

    def test_what_comes_from_the_data_is_recorded_once(self, maze, tmp_path, capfd, monkeypatch):
        words = [*maze, *self.variants["deflowvf"], "--agent.target_divergence=auto", "--eval_interval=0"]
        run = self.train([*words, "--offline_steps=2"], tmp_path)
        recorded = run.manifest["from_data"]
        data = SuiteOptions(dataset_path=run.config["dataset_path"])
        train = resolve(run.config["env_name"], data).load_dataset().train
        variance = estimate_action_variance(train.observations[train.rows], train.actions, train.terminals > 0)
        assert recorded == {
            "agent.target_divergence": pytest.approx(variance.value, rel=1e-9),  # a maze: all of it
            "agent.r_min": train.rewards.min(),
            "agent.r_max": 0.0,
        }
        assert run.config["agent"]["target_divergence"] == "auto"
        assert f"= {variance.value:.4g} (published" in capfd.readouterr().err

        def fail(*_):
            raise AssertionError("estimated again")

        monkeypatch.setattr("offlow_core.data.action_variance.estimate_action_variance", fail)
        before = run.manifest
        assert self.command.main([*words, "--offline_steps=4", f"--save_dir={tmp_path}", f"--resume={run.path}"]) == 0
        assert the_run_in(tmp_path).status["state"] == "finished"
        assert the_run_in(tmp_path).manifest == before
