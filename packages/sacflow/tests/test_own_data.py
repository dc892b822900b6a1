"""Whole commands on data of one's own: what is too short, and rewards that mean something else."""

from pathlib import Path

import numpy as np
import pytest

import offlow_sacflow.main
from offlow_core.testing.commands import refusal, the_run_in

NETWORKS = ["--agent.actor_hidden_dims=8", "--agent.value_hidden_dims=8", "--agent.flow_steps=2"]
WORDS = ["--agent=acfql", "--env_name=own/x", *NETWORKS, "--agent.batch_size=8", "--device=cpu", "--eval_interval=0"]
IN_PUSH = ["--environment=offlow_core.testing.toy_task:Push", "--eval_workers=0"]


def write(path: Path, rows: int, reward: float = -1.0) -> Path:
    """Rows of one episode with a successor each, in the shapes of `Push`."""
    random = np.random.default_rng(0)
    arrays = {"observations": random.normal(size=(rows, 2)), "actions": random.uniform(-1, 1, (rows, 1))}
    ends = np.arange(rows) == rows - 1
    arrays |= {"next_observations": random.normal(size=(rows, 2)), "rewards": np.where(ends, 0, reward)}
    np.savez(path, **arrays, terminals=ends)
    return path


def words(folder: Path, *more: str) -> list[str]:
    return [*WORDS, f"--dataset_path={folder / 'x.npz'}", *more, f"--save_dir={folder / 'runs'}"]


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (3, ["--online_steps=0"], "the data to train on hold 3 transitions, but a sample takes 5 in a row"),
        (100, ["--online_steps=0", "--dataset_proportion=0.02"], "the data to train on hold 2 transitions"),
        (
            *(3, [*IN_PUSH, "--offline_steps=0", "--online_steps=9", "--start_training=1"]),
            "the first update online, after environment step 1, would find 4 transitions",
        ),
    ],
)
def test_data_shorter_than_a_chunk_are_refused(tmp_path, capsys, rows, more, message):
    write(tmp_path / "x.npz", rows)
    told = refusal(offlow_sacflow.main.main, words(tmp_path, *more), capsys)
    assert message in told
    assert "sacflow: error:" in told
    assert not (tmp_path / "runs").exists()


def test_held_out_data_shorter_than_a_chunk_are_refused(tmp_path, capsys):
    write(tmp_path / "x.npz", 30)
    write(tmp_path / "x-val.npz", 3)
    told = refusal(offlow_sacflow.main.main, words(tmp_path, "--online_steps=0"), capsys)
    assert "the held-out data hold 3 transitions, but a sample takes 5 in a row" in told


def test_short_data_that_grow_long_enough_are_trained_on(tmp_path):
    write(tmp_path / "x.npz", 3)
    steps = ["--offline_steps=0", "--online_steps=4", "--start_training=2", "--log_interval=1"]
    assert offlow_sacflow.main.main(words(tmp_path, *IN_PUSH, *steps)) == 0
    losses = the_run_in(tmp_path / "runs").read("train")["critic/critic_loss"]
    assert np.isfinite(losses).tolist() == [False, True, True, True]


def test_sparse_refuses_rewards_above_0(tmp_path, capsys):
    write(tmp_path / "x.npz", 30, reward=0.5)
    told = refusal(offlow_sacflow.main.main, words(tmp_path, "--online_steps=0", "--sparse"), capsys)
    assert "sparse is for rewards of at most 0, where 0 means success, but there is one of 0.5" in told
    write(tmp_path / "x.npz", 30)
    assert offlow_sacflow.main.main(words(tmp_path, "--online_steps=0", "--offline_steps=1", "--sparse")) == 0
