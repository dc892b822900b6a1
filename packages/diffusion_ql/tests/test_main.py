"""Whole commands on tiny datasets in real environments: files, exit codes, kills and resumes."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

import offlow_diffusion_ql.main
from offlow_core.testing import tiny_data
from offlow_core.testing.commands import refusal, the_run_in
from offlow_core.testing.run_battery import RunBattery
from offlow_core.testing.tested_program import EVALUATION
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.run_directory import RunDirectory
from offlow_diffusion_ql.best_score import read_best_score
from offlow_diffusion_ql.main import main

SMALL = ["--agent.actor_hidden=8", "--agent.critic_hidden=8", "--T=2", "--batch_size=8", "--agent.n_action_samples=3"]
MOVING_AVERAGE = ["--agent.step_start_ema=4", "--agent.update_ema_every=2"]
MOVING_STEP_SIZE = ["--lr_decay", "--agent.lr_decay_unit=epoch", "--agent.steps_per_epoch=2", "--agent.num_epochs=10"]


class TestRuns(RunBattery):
    """The battery, and how runs select one of their evaluations."""

    command = offlow_diffusion_ql.main
    learner = TorchLearner
    variants: ClassVar = {
        "diffusion_ql": [*SMALL, "--device=7", "--ms=online", "--lr_decay"],
        "flow_ql": [*SMALL, "--device=7", "--ms=offline", "--is_flow_matching"],
        "diffusion_bc": [*SMALL, "--device=7", "--algo=bc", "--ms=offline"],
        "flow_bc": [*SMALL, "--device=7", "--agent=flow_bc"],
    }
    quick = "diffusion_ql"
    long = (*SMALL, "--offline_steps=12", *MOVING_AVERAGE, *MOVING_STEP_SIZE)
    policies = ("policy", "single_sample")
    d4rl_rules = "diffusion_ql"

    @classmethod
    def finished_files(cls, run: RunDirectory) -> Iterable[str]:
        return [f"best_score_{run.config['selection']}.txt"]

    def test_the_selected_evaluation_is_reported(self, d4rl_run):
        run = d4rl_run.run
        selection = run.config["selection"]
        best = json.loads((run.path / f"best_score_{selection}.txt").read_text())
        assert set(best) == {
            *("model selection", "epoch", "best normalized score avg", "best normalized score std"),
            *("best raw score avg", "best raw score std"),
        }
        assert best["model selection"] == selection
        assert f"{selection}-selected" in d4rl_run.out
        if selection == "online":
            evaluations, episodes = run.read("eval"), run.read("episodes")
            chosen = evaluations["step"][1:][np.argmax(evaluations["score"][1:])]
            returns = episodes["return"][episodes["step"] == chosen]
            assert best["best raw score avg"] == pytest.approx(returns.mean())
            assert best["best raw score std"] == pytest.approx(returns.std())
            assert 100 * best["best normalized score avg"] == pytest.approx(tiny_data.hopper_score(returns).mean())

    def test_evaluations_come_with_the_losses_since_the_one_before(self, d4rl_run):
        losses = d4rl_run.run.read("eval")["interval/actor/bc_loss"]
        assert np.isnan(losses).tolist() == [True, False, False, False]

    def test_what_is_unusual_is_said(self, d4rl_run):
        assert "--device 7: there is no such GPU here" in d4rl_run.err
        assert ("flow policy: the critic's gradient" in d4rl_run.err) is (d4rl_run.variant == "flow_ql")


@pytest.fixture(scope="module")
def hopper(tmp_path_factory) -> list[str]:
    """All that a command needs for the cheapest locomotion task."""
    return [*tiny_data.write_hopper(tmp_path_factory.mktemp("hopper")), *SMALL, *EVALUATION]


def test_a_run_on_own_data_without_environment(tmp_path, capfd):
    words = [*tiny_data.write_own(tmp_path), *SMALL, "--frame_stack=2", "--reward_tune=normalize"]
    words += ["--offline_steps=4", "--log_interval=2", f"--save_dir={tmp_path / 'runs'}"]
    assert main(words) == 0
    run = the_run_in(tmp_path / "runs")
    assert np.isfinite(run.read("train")["validation/actor/bc_loss"]).all()
    assert "none is selected" not in capfd.readouterr().err  # nothing was evaluated, so nothing could be
    told = refusal(main, [*words, "--early_stop"], capfd)
    assert "early_stop compares evaluations, and the task has no environment" in told


def test_a_run_ends_early_when_the_imitation_loss_rises(hopper, tmp_path, monkeypatch, capfd):
    means = iter([3.0, 2.0, 2.5, 1.0])
    monkeypatch.setattr(TorchLearner, "interval_means", lambda self: [{"actor/bc_loss": next(means)}])
    words = [*hopper, "--algo=bc", "--early_stop", "--offline_steps=10", "--eval_interval=2", "--top_k=0"]
    assert main([*words, f"--save_dir={tmp_path}"]) == 0
    run = the_run_in(tmp_path)
    assert run.status["state"] == "finished"
    assert run.read("eval")["step"].tolist() == [1, 2, 4, 6]
    assert run.checkpoints.latest().step == 6
    assert "its own rule ends the run early, after step 6 of 10" in capfd.readouterr().err
    # Of the losses 3, 2, 2.5 the first has rank 2, which the official rule takes for the place of the best.
    evaluated = run.read("eval")["score"][3]
    assert run.status["scores"]["offline-selected (upstream, top_k 0)"] == pytest.approx(evaluated)


def write_official_files(folder: Path, observation_dim: int = 11, action_dim: int = 3) -> None:
    """What the official driver would have saved after epoch 50, with tiny networks."""
    from offlow_diffusion_ql.agent import DiffusionQl
    from offlow_diffusion_ql.config import DiffusionQlConfig
    from offlow_diffusion_ql.schedules import make_schedule
    from offlow_diffusion_ql.upstream_names import critic_to_upstream, policy_to_upstream

    config = DiffusionQlConfig(actor_hidden=8, critic_hidden=6)
    agent = DiffusionQl(config, observation_dim, action_dim, seed=5, device=torch.device("cpu"))
    folder.mkdir(parents=True)
    names = {"actor": policy_to_upstream, "critic": critic_to_upstream}
    for name, translate in names.items():
        arrays = translate({key: value.numpy() for key, value in getattr(agent, name).state_dict().items()})
        state = {key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in arrays.items()}
        tables = {"betas": make_schedule("vp", 5).betas} if name == "actor" else {}
        torch.save({**tables, **state}, folder / f"{name}_50.pth")
    (folder / "variant.json").write_text(json.dumps({"env_name": "hopper-medium-v2", "algo": "ql", "T": 5}))
    best = {"model selection": "online", "epoch": 50, "best normalized score avg": 0.9}
    best |= {"best normalized score std": 0.1, "best raw score avg": 2900.0, "best raw score std": 300.0}
    (folder / "best_score_online.txt").write_text(json.dumps(best))


def test_official_checkpoints_become_a_run(hopper, tmp_path, capsys):
    write_official_files(tmp_path / "official")
    assert main(["import", str(tmp_path / "official"), f"--save_dir={tmp_path / 'runs'}"]) == 0
    assert "diffusion-ql evaluate" in capsys.readouterr().out
    run = the_run_in(tmp_path / "runs")
    assert run.config["agent"]["actor_hidden"] == 8
    assert run.config["agent"]["beta_schedule"] == "vp"
    assert run.checkpoints.latest().meta == {"step": 50_000}
    assert run.status["scores"] == {"online-selected (authors')": 90.0}
    assert read_best_score(run.path / "best_score_online.txt").return_mean == 2900.0
    assert main(["evaluate", str(run.path), "--episodes=1", "--eval_envs=1", "--eval_workers=0"]) == 0
    assert "policy after step 50000, 1 episodes" in capsys.readouterr().out
    told = refusal(main, [*hopper[:2], f"--resume={run.path}", "--offline_steps=60000"], capsys)
    assert "was imported, not trained here" in told


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "actor_50.pth").write_bytes(b"PK nothing"), "cannot be read as a PyTorch state"),
        (lambda folder: (folder / "actor_50.pth").unlink(), "has no checkpoint: expected actor_<epoch>.pth"),
        (lambda folder: torch.save({}, folder / "critic_50.pth"), "there is no 'q1_model"),
        (lambda folder: (folder / "critic_50.pth").unlink(), "says algo ql, but critic_50.pth is missing"),
        (lambda folder: (folder / "variant.json").write_text("{"), "delete it and give --env_name"),
        (lambda folder: (folder / "variant.json").unlink(), "give it with --env_name"),
        (lambda folder: (folder / "best_score_online.txt").write_text("{}"), "is no result file"),
        (lambda folder: torch.save({"betas": print}, folder / "actor_50.pth"), "cannot be read as a PyTorch state"),
    ],
    ids=["damaged", "missing", "another network", "no critic", "damaged options", "no task", "another result", "code"],
)
def test_unusable_official_files_are_named_and_leave_no_run(tmp_path, capsys, damage, message):
    write_official_files(tmp_path / "official")
    damage(tmp_path / "official")
    words = ["import", str(tmp_path / "official"), f"--save_dir={tmp_path / 'runs'}"]
    assert message in refusal(main, words, capsys)
    assert not (tmp_path / "runs").exists()
