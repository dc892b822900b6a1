"""Whole runs from scratch in a real environment: kills, resumes, evaluation, what is refused."""

import numpy as np
import pytest

import offlow_sacflow.main
from offlow_core.testing.commands import refusal, the_run_in
from offlow_core.testing.comparisons import assert_identical
from offlow_core.training.run_directory import RunDirectory

SMALL = ["--agent.batch_size=8", "--agent.q_hidden=8", "--agent.d_model=8", "--agent.n_head=2", "--agent.n_layers=1"]
RUN = ["--env_id=Hopper-v4", "--learning_starts=10", "--eval_interval=15", "--eval_episodes=2", "--eval_workers=0"]
WORDS = [*SMALL, *RUN, "--device=cpu", "--log_interval=5"]


def train(folder, *words: str) -> RunDirectory:
    assert offlow_sacflow.main.main([*WORDS, *words, f"--save_dir={folder}"]) == 0
    return the_run_in(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunDirectory:
    return train(tmp_path_factory.mktemp("whole"), "--total_timesteps=40")


def test_a_run_logs_evaluates_and_says_what_it_was(finished):
    assert finished.status["state"] == "finished"
    assert finished.read("eval")["step"].tolist() == [1, 15, 30, 40]
    train_table = finished.read("train")
    # With 10 random steps the first update follows the twelfth step.
    assert np.isnan(train_table["critic/critic_loss"][train_table["step"] <= 10]).all()
    assert np.isfinite(train_table["critic/critic_loss"][train_table["step"] >= 15]).all()
    assert finished.manifest["dataset"]["source"] == "none"
    assert finished.manifest["semantics"]["environment"] == "Hopper-v4"
    assert (finished.path / "learning_curve.png").exists()


def test_without_evaluation_the_returns_of_training_episodes_are_reported(tmp_path, capsys):
    run = train(tmp_path, "--total_timesteps=60", "--eval_interval=0")
    shown = capsys.readouterr().out
    last = run.read("train")["online/episode_return_mean20"][-1]
    assert f"return of the last 20 training episodes {last:.1f}" in shown
    assert run.status["scores"] == {"return of the last 20 training episodes": last}


def test_a_run_with_nothing_to_draw_ends_well(tmp_path, capsys):
    run = train(tmp_path, "--total_timesteps=3", "--eval_interval=0")
    assert run.status["state"] == "finished"
    assert "no evaluation" in capsys.readouterr().out


@pytest.mark.parametrize("steps", [7, 25])
def test_a_run_that_was_cut_short_goes_on_as_if_it_had_not_been(finished, tmp_path, steps):
    """Before the first update, and in the middle of training and of an episode."""
    short = train(tmp_path, f"--total_timesteps={steps}")
    assert offlow_sacflow.main.main([f"--resume={short.path}", "--env_id=Hopper-v4", "--total_timesteps=40"]) == 0
    again, whole = (run.checkpoints.latest().arrays for run in (the_run_in(tmp_path), finished))
    # The ring of the longer run has room for more, but holds the same transitions.
    assert_identical(again, whole)


@pytest.mark.parametrize("policy", ["policy", "noiseless", "deterministic"])
def test_a_saved_policy_is_evaluated(finished, capsys, policy):
    words = ["evaluate", str(finished.path), "--episodes=2", "--eval_workers=0", f"--policy={policy}"]
    assert offlow_sacflow.main.main(words) == 0
    assert f"{policy} after step 40, 2 episodes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--env_id=Pusher-v4"], "the nearest names are: Pusher-v5"),
        (["--agent=acfql", "--env_name=Hopper-v4"], "is an environment without a dataset"),
        (["--offline_steps=5"], "offline_steps must be 0: there is no dataset; see total_timesteps"),
        (["--agent.d_model=6"], "d_model must be a positive multiple of 4"),
        (["--agent=own/flow_t.py", "--env_name=own/mine"], "own/mine has no environment to train in"),
        (["--horizon_length=3"], "--horizon_length is an option of --agent chunk_flow_t, not of flow_t"),
    ],
)
def test_wrong_commands_say_what_to_do(words, message, tmp_path, capsys):
    assert message in refusal(offlow_sacflow.main.main, [*words, f"--save_dir={tmp_path / 'runs'}"], capsys)
    assert not (tmp_path / "runs").exists()
