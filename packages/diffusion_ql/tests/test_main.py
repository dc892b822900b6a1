"""Whole commands on a tiny dataset in a real environment: files, exit codes, kills and resumes."""

import json
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from offlow_core.testing.commands import assert_same_numbers, run_until_killed, runs_in
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.tables import read_table
from offlow_diffusion_ql.best_score import read_best_score
from offlow_diffusion_ql.main import main

SMALL = ["--agent.actor_hidden=8", "--agent.critic_hidden=8", "--T=2", "--batch_size=8", "--agent.n_action_samples=3"]
EVALUATION = ["--eval_episodes=2", "--eval_envs=2", "--eval_workers=0"]


@pytest.fixture(scope="module")
def hopper(tmp_path_factory) -> list[str]:
    """Task and data options of the cheapest locomotion task; an untrained policy falls within a few steps."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "hopper.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = random.random((60, 11), np.float32)
        file["actions"] = random.uniform(-1, 1, (60, 3)).astype(np.float32)
        file["rewards"] = random.random(60, np.float32)
        file["terminals"], file["timeouts"] = np.zeros(60, bool), np.arange(60) % 20 == 19
    return ["--env_name=hopper-medium-v2", f"--dataset_path={path}", *SMALL, *EVALUATION]


@pytest.mark.parametrize(
    ("words", "agent"),
    [
        (["--ms=online", "--lr_decay"], "diffusion_ql"),
        (["--ms=offline", "--is_flow_matching"], "flow_ql"),
        (["--algo=bc", "--ms=offline"], "diffusion_bc"),
        (["--agent=flow_bc"], "flow_bc"),
    ],
)
def test_a_run_from_end_to_end(hopper, tmp_path, capfd, words, agent):
    words = [*hopper, *words, "--device=7", "--offline_steps=6", "--eval_interval=2", "--log_interval=3"]
    assert main([*words, f"--save_dir={tmp_path}"]) == 0
    (run,) = runs_in(tmp_path)
    assert run.path.parent == tmp_path / "hopper-medium-v2" / agent
    selection = run.config["selection"]
    files = {"config.json", "manifest.json", "status.json", "train.csv", "eval.csv", "episodes.csv", "timing.csv"}
    files |= {"learning_curve.png", "checkpoints", "lock", f"best_score_{selection}.txt"}
    assert files == {path.name for path in run.path.iterdir()}
    evaluations, episodes = run.read("eval"), run.read("episodes")
    assert evaluations["step"].tolist() == [1, 2, 4, 6]
    assert np.isnan(evaluations["interval/actor/bc_loss"]).tolist() == [True, False, False, False]
    best = json.loads((run.path / f"best_score_{selection}.txt").read_text())
    assert set(best) == {
        *("model selection", "epoch", "best normalized score avg", "best normalized score std"),
        *("best raw score avg", "best raw score std"),
    }
    assert best["model selection"] == selection
    if selection == "online":
        chosen = evaluations["step"][1:][np.argmax(evaluations["score"][1:])]
        returns = episodes["return"][episodes["step"] == chosen]
        assert best["best raw score avg"] == pytest.approx(returns.mean())
        assert best["best raw score std"] == pytest.approx(returns.std())
        normalised = (returns + 20.272305) / (3234.3 + 20.272305)
        assert best["best normalized score avg"] == pytest.approx(normalised.mean())
    assert run.manifest["semantics"]["dataset_rules"]["name"] == "diffusion_ql"
    shown = capfd.readouterr()
    assert "--device 7: there is no such GPU here" in shown.err
    assert ("flow policy: the critic's gradient" in shown.err) is (agent == "flow_ql")
    assert f"{selection}-selected" in shown.out


def test_a_run_on_own_data_without_environment(tmp_path, capfd):
    random = np.random.default_rng(0)
    for name, rows in (("arms", 30), ("arms-val", 10)):
        arrays = {"observations": random.random((rows, 4), np.float32), "rewards": random.random(rows, np.float32)}
        arrays |= {"actions": random.uniform(-1, 1, (rows, 2)).astype(np.float32)}
        np.savez(tmp_path / f"{name}.npz", **arrays, terminals=np.arange(rows) % 10 == 9)
    words = ["--env_name=own/arms", f"--dataset_path={tmp_path / 'arms.npz'}", *SMALL, "--frame_stack=2"]
    words += ["--reward_tune=normalize", "--offline_steps=4", "--log_interval=2", f"--save_dir={tmp_path / 'runs'}"]
    assert main(words) == 0
    (run,) = runs_in(tmp_path / "runs")
    assert np.isfinite(run.read("train")["validation/actor/bc_loss"]).all()
    assert "none is selected" not in capfd.readouterr().err  # nothing was evaluated, so nothing could be
    with pytest.raises(SystemExit):
        main([*words, "--early_stop"])
    assert "early_stop compares evaluations, and the task has no environment" in capfd.readouterr().err


def test_a_run_ends_early_when_the_imitation_loss_rises(hopper, tmp_path, monkeypatch, capfd):
    means = iter([3.0, 2.0, 2.5, 1.0])
    monkeypatch.setattr(TorchLearner, "interval_means", lambda self: [{"actor/bc_loss": next(means)}])
    words = [*hopper, "--algo=bc", "--early_stop", "--offline_steps=10", "--eval_interval=2", "--top_k=0"]
    assert main([*words, f"--save_dir={tmp_path}"]) == 0
    (run,) = runs_in(tmp_path)
    assert run.status["state"] == "finished"
    assert run.read("eval")["step"].tolist() == [1, 2, 4, 6]
    assert run.checkpoints.latest().step == 6
    assert "its own rule ends the run early, after step 6 of 10" in capfd.readouterr().err
    # Of the losses 3, 2, 2.5 the first has rank 2, which the official rule takes for the place of the best.
    evaluated = run.read("eval")["score"][3]
    assert run.status["scores"]["offline-selected (upstream, top_k 0)"] == pytest.approx(evaluated)


def test_a_saved_policy_is_evaluated(hopper, tmp_path, capsys):
    assert main([*hopper, "--offline_steps=2", "--eval_interval=0", f"--save_dir={tmp_path}"]) == 0
    (run,) = runs_in(tmp_path)
    evaluate = ["evaluate", str(run.path), "--episodes=2", "--eval_envs=1", "--eval_workers=0"]
    assert main(evaluate) == 0
    assert "policy after step 2, 2 episodes" in capsys.readouterr().out
    assert main([*evaluate, "--policy=single_sample"]) == 0
    tables = {path.stem: read_table(path)["return"] for path in (run.path / "evaluations").iterdir()}
    assert (tables["policy-step2-seed0"] != tables["single_sample-step2-seed0"]).any()
    with pytest.raises(SystemExit):
        main([*evaluate, "--policy=average"])
    assert "unknown policy 'average'; there are policy, single_sample" in capsys.readouterr().err


def test_each_of_several_seeds_equals_a_run_of_its_own(hopper, tmp_path):
    words = [*hopper, "--offline_steps=4", "--eval_interval=0", "--log_interval=2"]
    assert main([*words, "--seed=3", "--num_seeds=2", f"--save_dir={tmp_path / 'both'}"]) == 0
    assert main([*words, "--seed=4", f"--save_dir={tmp_path / 'alone'}"]) == 0
    (_, second), (alone,) = runs_in(tmp_path / "both"), runs_in(tmp_path / "alone")
    assert (second.path / "train.csv").read_bytes() == (alone.path / "train.csv").read_bytes()
    assert second.checkpoints.latest().path.read_bytes() == alone.checkpoints.latest().path.read_bytes()


@pytest.fixture(scope="module")
def long_run(hopper) -> list[str]:
    """Twelve updates; the average and the step sizes move, evaluations at 1 and multiples of 5, rows of 2."""
    words = [*hopper, "--offline_steps=12", "--eval_interval=5", "--log_interval=2", "--save_interval=3"]
    words += ["--agent.step_start_ema=4", "--agent.update_ema_every=2", "--lr_decay", "--agent.lr_decay_unit=epoch"]
    return [*words, "--agent.steps_per_epoch=2", "--agent.num_epochs=10", "--checkpoint_minutes=1000"]


@pytest.fixture(scope="module")
def uninterrupted(long_run, tmp_path_factory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert main([*long_run, f"--save_dir={folder}"]) == 0
    (run,) = runs_in(folder)
    return run


@pytest.mark.parametrize("last", [4, 8])
def test_killed_and_resumed_equals_uninterrupted(uninterrupted, long_run, tmp_path, last, capfd):
    words = [*long_run, f"--save_dir={tmp_path}"]
    run_until_killed(TorchLearner, "offlow_diffusion_ql.main", last, words)
    (run,) = runs_in(tmp_path)
    assert run.status["state"] == "running"
    assert main([*words, "--resume"]) == 0
    assert f"resuming {run.path} after step {last // 3 * 3}" in capfd.readouterr().err
    assert run.status["state"] == "finished"
    assert_same_numbers(run, uninterrupted)


def test_a_signal_saves_and_resuming_a_named_run_equals_uninterrupted(uninterrupted, long_run, tmp_path, monkeypatch):
    advance = TorchLearner.advance

    def advance_and_signal(self, step, steps):
        advance(self, step, steps)
        if step + steps == 8:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TorchLearner, "advance", advance_and_signal)
    assert main([*long_run, f"--save_dir={tmp_path}"]) == 130
    monkeypatch.undo()
    (run,) = runs_in(tmp_path)
    assert run.status["state"] == "interrupted"
    # Nothing says that the device has changed: the saved one is used, even if it is not there any more.
    assert main(["--resume", str(run.path)]) == 0
    assert_same_numbers(run, uninterrupted)


def test_another_evaluation_interval_trains_the_same(uninterrupted, long_run, tmp_path):
    words = [word for word in long_run if not word.startswith("--eval_interval")]
    assert main([*words, "--eval_interval=0", f"--save_dir={tmp_path}"]) == 0
    (run,) = runs_in(tmp_path)
    assert (run.path / "train.csv").read_bytes() == (uninterrupted.path / "train.csv").read_bytes()
    agents = [
        {name: array for name, array in each.checkpoints.latest().arrays.items() if name.startswith("agent/")}
        for each in (run, uninterrupted)
    ]
    assert agents[0].keys() == agents[1].keys()
    assert all((array == agents[1][name]).all() for name, array in agents[0].items())


def test_a_diverging_run_fails_and_says_where(hopper, tmp_path, capfd):
    words = [*hopper, "--lr=1e30", "--offline_steps=20", "--eval_interval=0", "--checkpoint_minutes=0"]
    with pytest.raises(SystemExit) as exit_:
        main([*words, f"--save_dir={tmp_path}"])
    assert exit_.value.code == 2
    (run,) = runs_in(tmp_path)
    assert run.status["error"]["type"] == "DivergedError"
    assert "training has diverged" in capfd.readouterr().err
    assert all(np.isfinite(array).all() for array in run.checkpoints.latest().arrays.values())


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
    (run,) = runs_in(tmp_path / "runs")
    assert run.config["agent"]["actor_hidden"] == 8
    assert run.config["agent"]["beta_schedule"] == "vp"
    assert run.checkpoints.latest().meta == {"step": 50_000}
    assert run.status["scores"] == {"online-selected (authors')": 90.0}
    assert read_best_score(run.path / "best_score_online.txt").return_mean == 2900.0
    assert main(["evaluate", str(run.path), "--episodes=1", "--eval_envs=1", "--eval_workers=0"]) == 0
    assert "policy after step 50000, 1 episodes" in capsys.readouterr().out
    hopper_data = [*hopper[:2], f"--resume={run.path}", "--offline_steps=60000"]
    with pytest.raises(SystemExit):
        main(hopper_data)
    assert "was imported, not trained here" in capsys.readouterr().err


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
    with pytest.raises(SystemExit) as exit_:
        main(["import", str(tmp_path / "official"), f"--save_dir={tmp_path / 'runs'}"])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
