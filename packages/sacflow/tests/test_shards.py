"""Whole commands on a folder of shards, from offline to online: whose data each batch is, kills, resumes, mistakes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import offlow_sacflow.main
from offlow_core.data.shards import ShardedDataset, Shards
from offlow_core.data.transitions import Transitions
from offlow_core.testing.commands import refusal, run_until_killed, the_run_in
from offlow_core.testing.toy_task import make_dataset
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.option_json import from_json, to_json
from offlow_core.training.run_directory import RunDirectory
from offlow_sacflow.chunk.acfql import Acfql
from offlow_sacflow.learner import prepared
from offlow_sacflow.options import VARIANTS, AcfqlOptions

LENGTHS = {"maze-000": 12, "maze-001": 7, "maze-002": 15}
"""Rows of the shards by name, one episode each."""
TASK = "--env_name=pointmaze-medium-navigate-singletask-v0"
NETWORKS = ["--agent.actor_hidden_dims=8", "--agent.value_hidden_dims=8", "--agent.batch_size=8", "--horizon_length=3"]
WORDS = [TASK, *NETWORKS, "--agent.flow_steps=2", "--agent=acfql", "--device=cpu", "--dataset_replace_interval=4"]
RUN = ["--offline_steps=17", "--online_steps=4", "--start_training=2", "--eval_interval=0", "--log_interval=1"]
EXPECTED = [*[0] * 3, *[1] * 4, *[2] * 4, *[0] * 4, *[1] * 2]
"""The shard of updates 1 to 17."""


def write_shard(folder: Path, name: str, number: int, rows: int = 9) -> Path:
    """Positions of shard k have k as their whole part; they are nobody's goal."""
    places = np.float32(number + np.linspace(0.1, 0.9, rows))[:, None].repeat(2, 1)
    arrays = {"observations": places, "actions": 0.1 * places, "qpos": places, "terminals": np.arange(rows) == rows - 1}
    np.savez(folder / f"{name}.npz", **arrays)
    return folder / f"{name}.npz"


@pytest.fixture
def shards(tmp_path) -> Path:
    folder = tmp_path / "maze-100m"
    folder.mkdir()
    for number, (name, rows) in enumerate(LENGTHS.items()):
        write_shard(folder, name, number, rows)
    write_shard(folder, "maze-000-val", 8)
    write_shard(folder, "maze-001-val", 9)
    return folder


def train(folder: Path, shards: Path, *words: str) -> RunDirectory:
    command = [*WORDS, *RUN, f"--ogbench_dataset_dir={shards}", *words, f"--save_dir={folder}"]
    assert offlow_sacflow.main.main(command) == 0
    return the_run_in(folder)


def assert_same_training(found: RunDirectory, expected: RunDirectory) -> None:
    assert (found.path / "train.csv").read_bytes() == (expected.path / "train.csv").read_bytes()
    assert found.checkpoints.latest().path.read_bytes() == expected.checkpoints.latest().path.read_bytes()


@pytest.fixture
def seen(monkeypatch) -> list[list[int]]:
    """The shards that the batch of each update came from."""
    update, batches = Acfql.update, []

    def watched(self, batch, noise, variant):
        batches.append(sorted({int(place) for place in batch["observations"][:, 0]}))
        return update(self, batch, noise, variant)

    monkeypatch.setattr(Acfql, "update", watched)
    return batches


def test_batches_come_from_the_shard_whose_turn_it_is(shards, seen, tmp_path, capsys):
    run = train(tmp_path / "runs", shards, "--online_steps=0")
    assert seen == [[shard] for shard in EXPECTED]
    told = capsys.readouterr().err
    assert "3 shards, the first one of 11 transitions (8 held out), observations 2" in told
    assert np.isfinite(run.read("train")["validation/critic/critic_loss"]).all()
    dataset = run.manifest["dataset"]
    names = [(file["role"], file["name"]) for file in dataset["files"]]
    assert names == [*(("shard", f"{name}.npz") for name in LENGTHS), ("validation", "maze-000-val.npz")]
    assert dataset["source"] == "ogbench_dataset_dir"
    assert run.config["ogbench_dataset_dir"] == str(shards)


def test_online_batches_come_from_the_last_shard_and_the_environment(shards, seen, tmp_path):
    run = train(tmp_path / "runs", shards, "--online_steps=40")
    online = {shard for batch in seen[17:] for shard in batch}
    assert 1 in online  # of the last offline update
    assert not {2, 8, 9} & online
    assert run.checkpoints.latest().arrays["stage/online/replay/actions"].shape == (40, 2)


def test_killed_in_the_middle_of_a_shard_and_resumed_equals_uninterrupted(shards, seen, tmp_path):
    whole = train(tmp_path / "whole", shards)
    words = [*WORDS, *RUN, f"--ogbench_dataset_dir={shards}", f"--save_dir={tmp_path / 'killed'}", "--save_interval=5"]
    run_until_killed(TorchLearner, offlow_sacflow.main.__name__, 12, words)
    moved = shards.rename(tmp_path / "elsewhere")  # the folder is not part of what a run is
    seen.clear()
    words = [word.replace(str(shards), str(moved)) for word in words]
    assert offlow_sacflow.main.main([*words, "--resume"]) == 0
    assert seen[:7] == [[shard] for shard in EXPECTED[10:]]
    run = the_run_in(tmp_path / "killed")
    assert_same_training(run, whole)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_sparse_rewards_are_those_of_every_shard(is_sparse):
    def load(number: int) -> Transitions:
        return replace(make_dataset().train, rewards=np.arange(-21, 1, dtype=np.float32) - number)

    dataset = ShardedDataset(load(0), None, {}, Shards(("a", "b"), 22, 4, load))
    changed = prepared(AcfqlOptions(sparse=is_sparse), dataset)
    for number, found in enumerate((changed.train, changed.shards.load(1))):
        expected = np.where(load(number).rewards < 0, -1, 0) if is_sparse else load(number).rewards
        np.testing.assert_array_equal(found.rewards, expected)


def test_other_shards_are_other_data(shards, tmp_path, capsys):
    run = train(tmp_path / "runs", shards, "--online_steps=0")
    write_shard(shards, "maze-001", 5)
    words = [f"--resume={run.path}", TASK, "--offline_steps=20"]
    assert "was trained on other data" in refusal(offlow_sacflow.main.main, words, capsys)


def test_a_damaged_shard_fails_at_its_turn_and_training_goes_on_once_it_is_mended(shards, tmp_path, capsys):
    path = write_shard(shards, "maze-002", 2, rows=2000)  # looking at its headers does not reach the damage
    content = path.read_bytes()
    place = content.index(b"NUMPY", content.index(b"qpos.npy")) + 12_000
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    words = [*WORDS, *RUN, f"--ogbench_dataset_dir={shards}", f"--save_dir={tmp_path / 'runs'}"]
    told = refusal(offlow_sacflow.main.main, [*words, "--checkpoint_minutes=0"], capsys)
    assert f"{path}: the field `qpos` cannot be read (Bad CRC-32" in told
    run = the_run_in(tmp_path / "runs")
    assert run.status["state"] == "failed"
    assert run.read("train")["step"][-1] == 7
    path.write_bytes(content)
    assert offlow_sacflow.main.main([*words, "--resume"]) == 0
    assert_same_training(run, train(tmp_path / "whole", shards))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ogbench_dataset_dir=nowhere"], "nowhere: there is no such folder (ogbench_dataset_dir)"),
        (["--ogbench_dataset_dir=."], ".: holds no shard (ogbench_dataset_dir), and 0 validation files"),
        (["--ogbench_dataset_dir=."], "expected files *.npz in OGBench's format, besides those that end in -val.npz"),
        (["--ogbench_dataset_dir="], "ogbench_dataset_dir must be a name, not empty"),
        (["--dataset_replace_interval=0"], "dataset_replace_interval must be at least 1, got 0"),
        (
            ["--ogbench_dataset_dir=x", "--env_name=lift-mh-low_dim"],
            "ogbench_dataset_dir is for tasks of OGBench; lift-mh-low_dim is none: leave it out",
        ),
        (
            ["--ogbench_dataset_dir=x", "--dataset_path=y"],
            "dataset_path must be None with ogbench_dataset_dir, got 'y'",
        ),
        (["--ogbench_dataset_dir=x", "--dataset_dir=y"], "dataset_dir must be None with ogbench_dataset_dir, got 'y'"),
        (
            ["--ogbench_dataset_dir=x", "--dataset_proportion=0.5"],
            "dataset_proportion must be 1 with ogbench_dataset_dir, got 0.5",
        ),
        (["--agent=flow_t", "--ogbench_dataset_dir=x"], "--ogbench_dataset_dir is an option of --agent chunk_flow_t"),
    ],
)
def test_wrong_commands_say_what_to_do(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in refusal(offlow_sacflow.main.main, [TASK, "--agent=acfql", *words], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_run_from_before_these_options_can_be_read(capsys):
    record = to_json(AcfqlOptions(seed=3))
    del record["ogbench_dataset_dir"], record["dataset_replace_interval"]
    assert from_json(VARIANTS, record) == AcfqlOptions(seed=3)
    assert "without ogbench_dataset_dir, dataset_replace_interval: the defaults are taken" in capsys.readouterr().err
