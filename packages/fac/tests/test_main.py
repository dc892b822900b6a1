"""Whole commands on tiny datasets in real environments: files, exit codes, kills and resumes."""

import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from offlow_core.data.collect.jobs import make_collector
from offlow_core.data.collect.protocol import find_protocol
from offlow_core.jax.learner import JaxLearner
from offlow_core.testing.commands import assert_same_numbers, run_until_killed, runs_in
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.tables import read_table
from offlow_fac.main import main

SMALL = ["--agent.actor_hidden_dims=8", "--agent.value_hidden_dims=8", "--agent.flow_steps=2", "--agent.batch_size=8"]
FAC = [*SMALL, "--agent.bc_hidden_dims=8", "--bc_steps=6", "--behaviour_flow_cache=none"]
FQL = ["--agent=fql", *SMALL]
EVALUATION = ["--eval_interval=1000", "--eval_episodes=1", "--eval_envs=1", "--eval_workers=0"]


def write_dataset(folder: Path, name: str, rows: int) -> Path:
    """A training file of three episodes and a validation file of one, from the benchmark's own oracle."""
    collector = make_collector(find_protocol(name), rows)
    episodes = [collector.collect(0, episode, lambda _: None).arrays for episode in range(4)]
    path = folder / f"{name}-v0.npz"
    np.savez(path, **{key: np.concatenate([episode[key] for episode in episodes[:3]]) for key in episodes[0]})
    np.savez(folder / f"{name}-v0-val.npz", **episodes[3])
    return path


@pytest.fixture(scope="module")
def maze(tmp_path_factory) -> list[str]:
    """Task and data options of a maze, whose environment is the cheapest."""
    path = write_dataset(tmp_path_factory.mktemp("maze"), "pointmaze-medium-navigate", 12)
    return ["--env_name=pointmaze-medium-navigate-singletask-v0", f"--dataset_path={path}"]


@pytest.fixture(scope="module")
def cube(tmp_path_factory) -> list[str]:
    """Task and data options of a manipulation task."""
    path = write_dataset(tmp_path_factory.mktemp("cube"), "cube-single-play", 15)
    return ["--env_name=cube-single-play-singletask-v0", f"--dataset_path={path}"]


def test_a_fac_run_from_end_to_end(cube, tmp_path, capfd):
    words = [*cube, *FAC, *EVALUATION, "--offline_steps=4", "--log_interval=2", f"--save_dir={tmp_path}"]
    assert main(words) == 0
    (run,) = runs_in(tmp_path)
    assert run.path.parent == tmp_path / "cube-single-play-singletask-v0" / "fac"
    names = {"config.json", "manifest.json", "status.json", "train.csv", "eval.csv", "episodes.csv", "timing.csv"}
    assert names | {"learning_curve.png", "checkpoints", "lock"} == {path.name for path in run.path.iterdir()}
    assert run.status["state"] == "finished"
    train = run.read("train")
    assert train["step"].tolist() == [-4, -2, 0, 2, 4]
    assert np.isfinite(train["bc/bc_flow_loss"][:3]).all()
    assert np.isfinite(train["critic/diff_logpi_mean"][3:]).all()
    assert np.isfinite(train["validation/critic/critic_loss"][3:]).all()
    assert run.read("eval")["step"].tolist() == [1, 4]
    assert run.read("episodes")["length"].max() <= 200
    assert run.config["agent"]["agent_name"] == "fac"
    manifest = run.manifest
    assert {"offlow-core", "offlow-fac", "jax", "ogbench", "mujoco"} <= set(manifest["packages"])
    assert manifest["semantics"]["success_timing"] == "pre"
    assert manifest["dataset"]["transitions"] == {"train": 3 * 14, "validation": 14}
    shown = capfd.readouterr()
    assert str(run.path / "learning_curve.png") in shown.out


def test_a_run_on_a_d4rl_file(tmp_path):
    random = np.random.default_rng(0)
    last = np.arange(60) % 20 == 19
    path = tmp_path / "hopper.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = random.random((60, 11), np.float32)
        file["actions"] = random.uniform(-1, 1, (60, 3)).astype(np.float32)
        file["rewards"] = random.random(60, np.float32)
        file["terminals"], file["timeouts"] = np.zeros(60, bool), last
    words = ["--env_name=hopper-medium-v2", f"--dataset_path={path}", *FQL, *EVALUATION, "--offline_steps=2"]
    assert main([*words, f"--save_dir={tmp_path / 'runs'}"]) == 0
    (run,) = runs_in(tmp_path / "runs")
    assert run.manifest["dataset"]["transitions"] == {"train": 3 * 19}
    assert run.manifest["semantics"]["dataset_rules"]["name"] == "fql"
    evaluations = run.read("eval")
    normalised = 100 * (evaluations["return"] + 20.272305) / (3234.3 + 20.272305)
    np.testing.assert_allclose(evaluations["score"], normalised, rtol=1e-6)


def test_a_saved_policy_is_evaluated(maze, tmp_path, capsys):
    assert main([*maze, *FQL, "--offline_steps=2", "--eval_interval=0", f"--save_dir={tmp_path}"]) == 0
    (run,) = runs_in(tmp_path)
    evaluate = ["evaluate", str(run.path), "--episodes=1", "--eval_envs=1", "--eval_workers=0"]
    assert main(evaluate) == 0
    assert "policy after step 2, 1 episodes" in capsys.readouterr().out
    assert main([*evaluate, "--policy=behaviour_flow"]) == 0
    tables = {path.stem: read_table(path) for path in (run.path / "evaluations").iterdir()}
    assert set(tables) == {"policy-step2-seed0", "behaviour_flow-step2-seed0"}
    first, second = (table["return"] for table in tables.values())
    assert len(first) == len(second) == 1
    with pytest.raises(SystemExit) as exit_:
        main([*evaluate, "--policy=flow"])
    assert exit_.value.code == 2
    assert "fac: error: unknown policy 'flow'; there are policy, behaviour_flow" in capsys.readouterr().err


def test_several_seeds_get_a_run_directory_each(maze, tmp_path):
    words = [*maze, *FQL, "--offline_steps=2", "--eval_interval=0", "--num_seeds=2", "--seed=3"]
    assert main([*words, f"--save_dir={tmp_path}"]) == 0
    runs = runs_in(tmp_path)
    assert [run.config["seed"] for run in runs] == [3, 4]
    assert all(run.status["state"] == "finished" for run in runs)
    losses = [run.read("train")["critic/critic_loss"] for run in runs]
    assert (losses[0] != losses[1]).all()


@pytest.fixture(scope="module")
def long_run(maze) -> list[str]:
    """Behaviour flow to 0, offline to 6, online to 20; checkpoints at multiples of 3, rows at multiples of 2."""
    words = [*maze, *FAC, *EVALUATION, "--offline_steps=6", "--online_steps=14", "--buffer_size=40"]
    return [*words, "--balanced_sampling=True", "--log_interval=2", "--save_interval=3", "--checkpoint_minutes=1000"]


@pytest.fixture(scope="module")
def uninterrupted(long_run, tmp_path_factory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert main([*long_run, f"--save_dir={folder}"]) == 0
    (run,) = runs_in(folder)
    return run


@pytest.mark.parametrize(
    ("last", "checkpoint"),
    [
        pytest.param(-2, -3, id="behaviour_flow", marks=pytest.mark.slow),
        pytest.param(4, 3, id="offline", marks=pytest.mark.slow),
        pytest.param(16, 15, id="online"),
    ],
)
def test_killed_and_resumed_equals_uninterrupted(
    uninterrupted, long_run, tmp_path, compile_equal_programs_once, last, checkpoint, capfd
):
    words = [*long_run, f"--save_dir={tmp_path}"]
    cache = {"JAX_COMPILATION_CACHE_DIR": compile_equal_programs_once}
    run_until_killed(JaxLearner, "offlow_fac.main", last, words, cache)
    (run,) = runs_in(tmp_path)
    assert run.status["state"] == "running"
    assert run.checkpoints.latest().meta == {"step": checkpoint}
    assert run.read("train")["step"][-1] == last  # a row after the checkpoint, to be written again
    assert main([*words, "--resume"]) == 0
    assert f"resuming {run.path} after step {checkpoint}" in capfd.readouterr().err
    assert run.status["state"] == "finished"
    assert_same_numbers(run, uninterrupted)


def test_a_signal_saves_and_resuming_a_named_run_equals_uninterrupted(
    uninterrupted, long_run, tmp_path, monkeypatch, capfd
):
    advance = JaxLearner.advance

    def advance_and_signal(self, step, steps):
        advance(self, step, steps)
        if step + steps == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(JaxLearner, "advance", advance_and_signal)
    assert main([*long_run, f"--save_dir={tmp_path}"]) == 130
    monkeypatch.undo()
    (run,) = runs_in(tmp_path)
    assert run.status["state"] == "interrupted"
    assert f"stopped by SIGTERM after step 10; continue with --resume {run.path}" in capfd.readouterr().err
    assert main(["--resume", str(run.path)]) == 0
    assert_same_numbers(run, uninterrupted)


def test_another_evaluation_interval_trains_the_same(uninterrupted, long_run, tmp_path):
    words = [word for word in long_run if not word.startswith("--eval_interval")]
    assert main([*words, "--eval_interval=0", f"--save_dir={tmp_path}"]) == 0
    (run,) = runs_in(tmp_path)
    assert (run.path / "train.csv").read_bytes() == (uninterrupted.path / "train.csv").read_bytes()
    assert run.checkpoints.latest().path.read_bytes() == uninterrupted.checkpoints.latest().path.read_bytes()
    assert not (run.path / "eval.csv").exists()


def test_a_diverging_run_fails_and_says_where(maze, tmp_path, capfd):
    words = [*maze, *FQL, "--agent.lr=1e30", "--offline_steps=20", "--eval_interval=0", "--checkpoint_minutes=0"]
    with pytest.raises(SystemExit) as exit_:
        main([*words, f"--save_dir={tmp_path}"])
    assert exit_.value.code == 2
    (run,) = runs_in(tmp_path)
    assert run.status["state"] == "failed"
    assert run.status["error"]["type"] == "DivergedError"
    shown = capfd.readouterr().err
    assert "fac: error:" in shown
    assert "training has diverged" in shown
    assert all(np.isfinite(array).all() for array in run.checkpoints.latest().arrays.values())


def damaged(maze: list[str], tmp_path: Path, **changes) -> list[str]:
    source = Path(maze[1].removeprefix("--dataset_path="))
    with np.load(source) as file:
        arrays = dict(file)
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    path = tmp_path / source.name
    np.savez(path, **arrays)
    return [maze[0], f"--dataset_path={path}"]


def with_nan(values: np.ndarray) -> np.ndarray:
    values[7, 0] = np.nan
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observations": with_nan}, "observations"),
        ({"actions": lambda values: values[:, :1]}, "actions"),
        ({"terminals": lambda values: values[:-1]}, "terminals"),
    ],
    ids=["non-finite", "wrong width", "wrong length"],
)
def test_unusable_data_end_with_one_line_and_leave_no_run(maze, tmp_path, capfd, changes, message):
    words = damaged(maze, tmp_path, **changes)
    with pytest.raises(SystemExit) as exit_:
        main([*words, *FQL, f"--save_dir={tmp_path / 'runs'}"])
    assert exit_.value.code == 2
    *_, line = capfd.readouterr().err.strip().splitlines()
    assert line.startswith(f"fac: error: {tmp_path}")
    assert message in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--env_name=cube-singel-play-singletask-v0"], "cube-single-play-singletask-v0"),
        (["--env_name=pointmaze-medium-navigate-singletask-v0", "--dataset_path=nowhere.npz"], "nowhere.npz"),
        (["--resume"], "has no unfinished run"),
        (["--resume=nowhere"], "nowhere is no run directory"),
        (["evaluate", "nowhere"], "nowhere is no run directory"),
        (["evaluate"], "name a run directory first"),
    ],
)
def test_wrong_commands_end_with_one_line(words, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    shown = capfd.readouterr().err.strip()
    assert shown.startswith("fac")
    assert "\n" not in shown
    assert message in shown
    assert list(tmp_path.iterdir()) == []
