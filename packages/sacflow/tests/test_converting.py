"""`sacflow export` and `sacflow import`: a policy that goes out and comes back acts the same."""

import numpy as np
import pytest

import offlow_sacflow.main
from offlow_core.data.npz_file import NpzFile
from offlow_core.testing.commands import refusal, the_run_in
from offlow_core.testing.comparisons import assert_identical
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_arrays import part_of

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
    assert "the parameters are not those of this network: missing" in told
    told = refusal(offlow_sacflow.main.main, ["import", str(file), *words, "--agent.gate_hidden=4"], capsys)
    assert "the saved state does not fit this agent" in told
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


def test_a_file_comes_first(capsys):
    assert "name the .npz file" in refusal(offlow_sacflow.main.main, ["import"], capsys)
