"""A collection as a whole: worker processes, interruptions, files that the ogbench package reads."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import ogbench
import pytest

from offlow_core.data.collect import collection as collection_module
from offlow_core.data.collect import jobs
from offlow_core.data.collect.collection import Collection, collect
from offlow_core.data.collect.episode import Episode
from offlow_core.data.collect.protocol import CollectError, find_protocol


def plan(folder, name="pointmaze-medium-navigate", episodes=2, rows=30, seed=0):
    out = Path(folder) / "set.npz"
    protocol = find_protocol(name)
    return Collection(protocol, out, episodes=episodes, val_episodes=1, episode_rows=rows, seed=seed)


def gather(collection, **options):
    return collect(collection, **{"workers": 1, "progress": False, **options})


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def assert_equal_files(first, second):
    one, other = arrays(first), arrays(second)
    assert one.keys() == other.keys()
    assert all(one[key].tobytes() == other[key].tobytes() for key in one)


def pretend_finished(collection):
    """Lay down episodes as if workers had collected them."""
    collection.parts.open(collection.settings(), discard=False)
    rows = collection.episode_rows
    for k in range(collection.episodes + collection.val_episodes):
        fields = {"observations": np.full((rows, 2), k, np.float32), "terminals": np.arange(rows) == rows - 1}
        collection.parts.save(k, Episode(fields, Counter(goals=k)))


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture(scope="module")
def mazes(tmp_path_factory):
    """A small point maze set, and what collecting it reported."""
    collection = plan(tmp_path_factory.mktemp("mazes"), episodes=3, rows=60)
    return collection, gather(collection)


@pytest.fixture(scope="module")
def puzzles(tmp_path_factory):
    collection = plan(tmp_path_factory.mktemp("puzzles"), "puzzle-3x3-noisy", episodes=1, rows=60)
    return collection, gather(collection)


def test_a_finished_collection(mazes):
    collection, outcome = mazes
    assert (outcome.rows, outcome.transitions, outcome.continued_from) == (4 * 60, 4 * 59, 0)
    assert files(collection.out.parent) == ["set-val.npz", "set.json", "set.npz"]
    train, val = arrays(collection.out), arrays(collection.val_out)
    assert train["observations"].shape == (180, 2)
    assert val["observations"].shape == (60, 2)
    assert np.flatnonzero(train["terminals"]).tolist() == [59, 119, 179]


def test_provenance_says_how_the_data_were_made(mazes):
    collection, outcome = mazes
    record = json.loads(collection.provenance_file.read_text())
    assert record["dataset"] == "pointmaze-medium-navigate-v0"
    assert (record["seed"], record["episodes"], record["episode_rows"]) == (0, 3, 60)
    assert record["versions"]["ogbench"] == ogbench.__dict__.get("__version__", record["versions"]["ogbench"])
    assert set(record["sha256"]) == {"set.npz", "set-val.npz"}
    assert record["counts"] == dict(outcome.counts)


def test_the_number_of_workers_changes_nothing(mazes, tmp_path):
    collection, _ = mazes
    other = replace(collection, out=tmp_path / "set.npz")
    gather(other, workers=3)
    assert_equal_files(collection.out, other.out)
    assert_equal_files(collection.val_out, other.val_out)
    assert collection.out.read_bytes() == other.out.read_bytes()


def test_another_seed_gives_other_data(mazes):
    collection, _ = mazes
    first = jobs.make_collector(collection.protocol, 60).collect(1, 0, lambda _: None).arrays
    assert not np.array_equal(first["observations"], arrays(collection.out)["observations"][:60])


def test_workers_collect_what_this_process_would(puzzles):
    collection, _ = puzzles
    here = jobs.make_collector(collection.protocol, 60).collect(0, 1, lambda _: None).arrays
    stored = arrays(collection.val_out)
    assert all(here[key].tobytes() == stored[key].tobytes() for key in stored)


@pytest.mark.filterwarnings("ignore:.*precision lowered by casting")
def test_ogbench_loads_and_relabels_a_puzzle(puzzles):
    collection, _ = puzzles
    environment, train, _ = ogbench.make_env_and_datasets(
        "puzzle-3x3-noisy-singletask-task4-v0", dataset_path=str(collection.out), add_info=True
    )
    assert train["observations"].shape == (59, 55)
    assert np.flatnonzero(train["terminals"]).tolist() == [58]
    goal = environment.unwrapped._target_button_states
    assert train["rewards"].tolist() == [(row == goal).sum() - 9 for row in train["button_states"]]


def test_ogbench_loads_and_relabels_a_maze(mazes):
    collection, _ = mazes
    _, train, val = ogbench.make_env_and_datasets(
        "pointmaze-medium-navigate-singletask-task1-v0", dataset_path=str(collection.out), add_info=True
    )
    assert len(train["actions"]) == 177
    assert len(val["actions"]) == 59
    goal = np.array([20.0, 20.0])  # cell (6, 6), 4 apart, the first at 0
    reached = np.linalg.norm(train["qpos"] - goal, axis=1) <= 1
    assert np.array_equal(train["rewards"], reached - 1.0)


def command(out, episodes, workers):
    words = ["data", "collect", "pointmaze-medium-navigate", "--out", str(out), "--workers", str(workers)]
    script = f"from offlow_core.command import main; main({[*words, '--episodes', str(episodes)]!r})"
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_parts(folder, count):
    deadline = time.monotonic() + 120
    while len(list(folder.glob("episode-*.npz"))) < count:
        assert time.monotonic() < deadline, "no episode was finished in two minutes"
        time.sleep(0.005)


def test_a_killed_collection_continues(tmp_path):
    out, parts = tmp_path / "killed.npz", tmp_path / "killed.npz.parts"
    stopped = command(out, episodes=12, workers=1)
    wait_for_parts(parts, 1)
    stopped.terminate()
    message = stopped.communicate()[1]
    assert stopped.returncode == 128 + signal.SIGTERM
    assert "finished episodes are kept" in message
    assert "Traceback" not in message

    killed = command(out, episodes=12, workers=1)
    wait_for_parts(parts, len(list(parts.glob("episode-*.npz"))) + 1)
    killed.kill()
    killed.communicate()
    assert files(tmp_path) == ["killed.npz.parts"], "nothing half-written looks finished"

    last = command(out, episodes=12, workers=2)
    report = last.communicate()[0]
    assert last.returncode == 0
    assert "episodes were already there" in report
    protocol = find_protocol("pointmaze-medium-navigate")
    stored, collector = arrays(out), jobs.make_collector(protocol, protocol.episode_rows)
    for k in (0, 1, 2, 11):
        here = collector.collect(0, k, lambda _: None).arrays
        assert all(here[key].tobytes() == stored[key][k * 1001 : (k + 1) * 1001].tobytes() for key in here)


def test_a_worker_that_is_killed_is_named_with_its_episode(tmp_path, monkeypatch):
    give = jobs.Worker.give

    def give_and_kill(worker, episode):
        give(worker, episode)
        os.kill(worker.process.pid, signal.SIGKILL)

    monkeypatch.setattr(jobs.Worker, "give", give_and_kill)
    with pytest.raises(CollectError, match=r"episode 0 of .* died, killed by signal 9.*kept in .*set.npz.parts"):
        gather(plan(tmp_path))
    assert files(tmp_path) == ["set.npz.parts"]


def test_a_worker_that_raises_passes_the_reason_on(tmp_path):
    collection = plan(tmp_path)
    broken = replace(collection, protocol=replace(collection.protocol, environment="pointmaze-nowhere-v0"))
    with pytest.raises(CollectError, match=r"episode 0 of pointmaze-medium.* failed: NameNotFound"):
        gather(broken)


class FakeConnection:
    """A parent that asks for episode 5, and then hangs up."""

    def __init__(self):
        self.requests, self.answers = [5], []

    def recv(self):
        if not self.requests:
            raise EOFError
        return self.requests.pop()

    def send(self, message):
        self.answers.append(message)


def test_a_worker_on_a_full_disk_says_so(tmp_path, monkeypatch):
    class Full:
        def collect(self, *_):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "make_collector", lambda *_: Full())
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    collection, connection = plan(tmp_path), FakeConnection()
    jobs.work(connection, jobs.Job(collection.protocol, 30, 0, tmp_path))
    assert connection.answers == [("failed", "the disk is full")]


def test_a_disk_that_fills_up_at_the_end_loses_nothing(tmp_path, monkeypatch):
    collection = plan(tmp_path)
    pretend_finished(collection)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(collection_module, "write_joined", full)
        with pytest.raises(CollectError, match=r"the disk is full. Finished episodes are kept in"):
            gather(collection)
    assert files(tmp_path) == ["set.npz.parts"]
    assert gather(collection).continued_from == 3
    assert arrays(collection.out)["observations"][:, 0].tolist() == [0.0] * 30 + [1.0] * 30


def test_existing_files_are_kept_unless_told_otherwise(tmp_path):
    collection = plan(tmp_path)
    collection.val_out.write_bytes(b"mine")
    with pytest.raises(CollectError, match=r"set-val.npz exists; give --overwrite"):
        gather(collection)
    assert collection.val_out.read_bytes() == b"mine"
    pretend_finished(collection)
    gather(collection, overwrite=True)
    assert len(arrays(collection.val_out)["observations"]) == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"episodes": 0}, "episodes must be at least 1, got 0"),
        ({"val_episodes": 0}, "val_episodes must be at least 1"),
        ({"episode_rows": 1}, "episode_rows must be at least 2"),
        ({"seed": -1}, "seed must be within"),
        ({"out": Path("set.hdf5")}, "must contain '.npz' once"),
        ({"out": Path("old.npz.d/set.npz")}, "must contain '.npz' once"),
    ],
)
def test_impossible_collections_are_refused(tmp_path, change, message):
    with pytest.raises(CollectError, match=message):
        replace(plan(tmp_path), **change)
