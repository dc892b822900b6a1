"""`sacflow export` and `sacflow import`: a policy that goes out and comes back acts the same."""

import json

import numpy as np
import pytest
import torch

import offlow_sacflow.main
from offlow_core.data.npz_file import NpzFile
from offlow_core.suites import resolve
from offlow_core.testing.commands import refusal, the_run_in
from offlow_core.testing.comparisons import assert_identical
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_arrays import part_of
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.agents import make_chunk_agent
from offlow_sacflow.chunk.config import ChunkFlowGConfig
from offlow_sacflow.flax_parameters import FlaxParametersError
from offlow_sacflow.official_parameters import flax_arrays, load_flax
from offlow_sacflow.task_agent import agent_of

TINY = ["--agent.batch_size=8", "--device=cpu"]
SCRATCH = {
    "flow_t": ["--agent.d_model=8", "--agent.n_head=2", "--agent.n_layers=1"],
    "flow_g": ["--agent.gate_hidden=8", "--agent.logstd_hidden=8"],
    "naive": ["--agent.actor_hidden=8", "--agent.crossq_style=False", "--agent.tau=0.1"],
}
RUN = ["--learning_starts=5", "--total_timesteps=12", "--eval_interval=0"]


def scratch_words(agent: str) -> list[str]:
    return ["--env_name=Hopper-v4", f"--agent={agent}", "--agent.q_hidden=8", *TINY, *SCRATCH[agent]]


@pytest.fixture(params=SCRATCH)
def trained(request, tmp_path) -> tuple[RunDirectory, list[str]]:
    """A run from scratch, and the options that tell its networks."""
    words = scratch_words(request.param)
    assert offlow_sacflow.main.main([*words, *RUN, f"--save_dir={tmp_path / 'runs'}"]) == 0
    return the_run_in(tmp_path / "runs"), words


def networks(run: RunDirectory) -> dict[str, np.ndarray]:
    """What acts and judges; optimizers start afresh."""
    arrays = part_of(run.checkpoints.latest().arrays, "agent/")
    return {name: array for name, array in arrays.items() if "adam" not in name and not name.startswith("latest")}


def test_parameters_go_out_and_come_back(trained, tmp_path, capsys):
    run, words = trained
    file = tmp_path / "official.npz"
    assert offlow_sacflow.main.main(["export", str(run.path), str(file)]) == 0
    with NpzFile(file) as archive:
        names = archive.fields
    assert "params/critic/VmapQNetwork_0/Dense_0/kernel" in names
    assert "stats/actor/BatchRenorm_0/mean" in names or "stats/actor/bn/mean" in names
    assert offlow_sacflow.main.main(["import", str(file), *words, f"--save_dir={tmp_path / 'again'}"]) == 0
    again = the_run_in(tmp_path / "again")
    assert_identical(networks(again), networks(run))
    assert again.status["state"] == "finished"
    evaluation = ["evaluate", str(again.path), "--episodes=1", "--eval_workers=0"]
    assert offlow_sacflow.main.main(evaluation) == 0
    assert "policy after step 0, 1 episodes" in capsys.readouterr().out


def exported(tmp_path) -> list[str]:
    words = [*scratch_words("flow_g"), f"--save_dir={tmp_path / 'runs'}"]
    assert offlow_sacflow.main.main([*words, *RUN]) == 0
    assert offlow_sacflow.main.main(["export", str(the_run_in(tmp_path / "runs").path), str(tmp_path / "o.npz")]) == 0
    return words


def test_what_does_not_fit_is_named(tmp_path, capsys):
    words, file = exported(tmp_path), tmp_path / "o.npz"
    other = [*scratch_words("flow_t"), f"--save_dir={tmp_path / 'no'}"]
    told = refusal(offlow_sacflow.main.main, ["import", str(file), *other], capsys)
    assert "the arrays are not those of this network: missing ['params/actor/" in told
    told = refusal(offlow_sacflow.main.main, ["import", str(file), *words, "--agent.gate_hidden=4"], capsys)
    assert "params/actor/gate_net/layers_0/kernel must have shape" in told
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "params/alpha/log_ent_coef"}
    np.savez(file, **arrays)
    told = refusal(offlow_sacflow.main.main, ["import", str(file), *words], capsys)
    assert "params/alpha/log_ent_coef is missing" in told
    np.savez(file, **arrays, **{"params/alpha/log_ent_coef": np.zeros(()), "params/other/x": np.zeros(1)})
    told = refusal(offlow_sacflow.main.main, ["import", str(file), *words], capsys)
    assert "unknown arrays ['params/other/x']" in told
    file.write_bytes(file.read_bytes()[:100])
    assert "o.npz" in refusal(offlow_sacflow.main.main, ["import", str(file), *words], capsys)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        (
            "params/actor/gate_net/layers_0/kernel",
            lambda a: a[:, :4],
            "kernel must have shape (46, 8), got (46, 4)",
        ),
        ("params/critic/VmapQNetwork_0/Dense_1/bias", lambda a: a * np.nan, "Dense_1/bias must hold finite"),
        ("params/alpha/log_ent_coef", lambda a: a[None], "params/alpha/log_ent_coef must have shape ()"),
        ("stats/actor/bn/var", lambda a: -a, "stats/actor/bn/var must hold no negative number"),
    ],
)
def test_a_leaf_that_cannot_be_is_named_by_its_official_path(official_flow_g, tmp_path, capsys, path, change, message):
    words, arrays = official_flow_g
    file, runs = tmp_path / "changed.npz", tmp_path / "runs"
    np.savez(file, **arrays | {path: change(arrays[path])})
    assert message in refusal(offlow_sacflow.main.main, ["import", str(file), *words, f"--save_dir={runs}"], capsys)
    assert not runs.exists()


@pytest.fixture(scope="module")
def official_flow_g() -> tuple[list[str], dict[str, np.ndarray]]:
    """The options of an agent, and its parameters."""
    words = scratch_words("flow_g")
    options = offlow_sacflow.main.read(words).options
    return words, flax_arrays(agent_of(options, resolve(options.env_name, options.suite), torch.device("cpu")))


def test_an_agent_with_chunks_refuses_what_is_not_its_own():
    agent, other = make_chunk_agents()
    load_flax(other, flax_arrays(agent))
    for name in ("stats/actor/bn/mean", "extra"):
        with pytest.raises(FlaxParametersError, match=f"unknown .*{name}"):
            load_flax(other, flax_arrays(agent) | {name: np.zeros(2, np.float32)})


def make_chunk_agents() -> tuple[ChunkAgent, ChunkAgent]:
    config = ChunkFlowGConfig(value_hidden_dims=(8,), actor_hidden_dims=(8,), gate_hidden=8)
    first, second = (make_chunk_agent(config, (3,), 2, seed=seed, device=torch.device("cpu")) for seed in (0, 1))
    return first, second


def test_what_an_import_would_be_is_printed_without_one(tmp_path, capsys):
    words = [*scratch_words("flow_g"), f"--save_dir={tmp_path / 'runs'}"]
    assert offlow_sacflow.main.main(["import", "absent.npz", *words, "--print_config"]) == 0
    assert json.loads(capsys.readouterr().out)["agent"]["gate_hidden"] == 8
    told = refusal(offlow_sacflow.main.main, ["import", "absent.npz", *words, "--resume"], capsys)
    assert "leave out --resume" in told
    assert list(tmp_path.iterdir()) == []


def test_an_export_needs_a_folder_to_write_to(tmp_path, capsys):
    words = [*scratch_words("naive"), f"--save_dir={tmp_path / 'runs'}"]
    assert offlow_sacflow.main.main([*words, "--total_timesteps=1", "--eval_interval=0"]) == 0
    run = the_run_in(tmp_path / "runs")
    for target in (tmp_path / "absent" / "o.npz", tmp_path):
        with pytest.raises(SystemExit, match=f"^sacflow export: {target} must be a file to write"):
            offlow_sacflow.main.main(["export", str(run.path), str(target)])
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_file_comes_first(capsys):
    assert "name the .npz file" in refusal(offlow_sacflow.main.main, ["import"], capsys)
