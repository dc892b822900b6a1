"""Run directories: names, status, resuming, claims."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import pytest

from offlow_core.training import run_directory
from offlow_core.training.run_directory import RunDirectory, RunDirectoryError, find_resumable

CONFIG = {"lr": 3e-4, "hidden": (512, 512), "steps": 100}


def create(root, seed=0, config=CONFIG, task="cube-v0") -> RunDirectory:
    return RunDirectory.create(root, task, "fac", seed, config, {"device": "cpu"})


def test_a_new_run_has_its_name_and_its_three_files(tmp_path):
    with create(tmp_path / "runs", seed=3) as run:
        assert run.path.parent == tmp_path / "runs" / "cube-v0" / "fac"
        seed, day, clock = run.path.name.split("-")
        assert (seed, len(day), len(clock)) == ("3", 8, 6)
        assert run.config == {"lr": 3e-4, "hidden": [512, 512], "steps": 100}
        assert run.manifest == {"device": "cpu"}
        status = run.status
        assert (status["state"], status["error"], status["finished"], status["resumed"]) == ("running", None, None, [])
        assert (status["pid"], status["host"]) == (os.getpid(), socket.gethostname())
        assert datetime.fromisoformat(status["started"]).tzinfo is not None
        assert RunDirectory.open(run.path).status == status


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: create(tmp_path), range(24)))
    assert len({run.path for run in runs}) == 24
    assert all(run.status["state"] == "running" for run in runs)


@pytest.mark.parametrize(
    ("task", "folder"), [("mujoco/hopper/expert-v0", "mujoco_hopper_expert-v0"), ("..", "_"), ("a b;$(x)", "a_b___x_")]
)
def test_names_of_tasks_become_safe_folder_names(tmp_path, task, folder):
    with create(tmp_path, task=task) as run:
        assert run.path.parts[-3] == folder
        run.set_status("failed")
    with find_resumable(tmp_path, task, "fac", 0, CONFIG) as found:
        assert found.path == run.path


@pytest.mark.parametrize(("config", "error"), [({"a": object()}, TypeError), ({"a": float("nan")}, ValueError)])
def test_a_run_that_cannot_be_described_leaves_no_folder(tmp_path, config, error):
    with pytest.raises(error):
        create(tmp_path, config=config)
    assert not list((tmp_path / "cube-v0" / "fac").iterdir())


def test_tables_go_to_their_files_and_come_back(tmp_path):
    with create(tmp_path) as run:
        run.log_train(5, {"loss": 1.5})
        run.log_eval(5, {"success": 0.5})
        run.log_episodes(5, [{"episode": 0, "success": 1.0}, {"episode": 1, "success": 0.0}])
        run.log_timing(5, {"updates_per_s": 100})
    assert (run.path / "train.csv").read_text() == "step,loss\n5,1.5\n"
    assert (run.path / "eval.csv").read_text() == "step,success\n5,0.5\n"
    assert (run.path / "timing.csv").read_text() == "step,updates_per_s\n5,100\n"
    np.testing.assert_array_equal(RunDirectory.open(run.path).read("episodes")["success"], [1, 0])


def test_a_table_without_rows_reads_as_no_steps(tmp_path):
    with create(tmp_path) as run:
        assert {name: values.tolist() for name, values in run.read("eval").items()} == {"step": []}


def test_truncation_forgets_the_rows_after_the_checkpoint(tmp_path):
    with create(tmp_path) as run:
        for step in (10, 20, 30):
            run.log_train(step, {"loss": 1})
            run.log_eval(step, {"success": 1})
            run.log_episodes(step, [{"episode": 0}, {"episode": 1}])
            run.log_timing(step, {"s": 1})
        run.truncate_after(20)
        lengths = {kind: run.read(kind)["step"].tolist() for kind in ("train", "eval", "episodes", "timing")}
        assert lengths == {"train": [10, 20], "eval": [10, 20], "episodes": [10, 10, 20, 20], "timing": [10, 20]}


def test_status_tells_the_error_and_keeps_details(tmp_path):
    with create(tmp_path) as run:
        run.set_status("running", timing={"updates_per_s": 12.5})
        try:
            raise ValueError("loss is nan at step 7")
        except ValueError as error:
            run.set_status("failed", error=error)
        status = run.status
        assert status["state"] == "failed"
        assert status["error"]["type"] == "ValueError"
        assert status["error"]["message"] == "loss is nan at step 7"
        assert "test_run_directory.py" in status["error"]["traceback"]
        assert status["timing"] == {"updates_per_s": 12.5}
        assert status["finished"] >= status["started"]
        run.set_status("running")
        assert (run.status["error"], run.status["finished"], len(run.status["resumed"])) == (None, None, 2)
        assert run.status["started"] == status["started"]


def test_an_error_that_cannot_be_recorded_says_so_and_is_not_replaced(tmp_path, monkeypatch):
    with create(tmp_path) as run:

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(run_directory, "write_json", full)
        error = ValueError("no space for the checkpoint")
        run.set_status("failed", error=error)
        assert "status.json could not be updated" in error.__notes__[0]
        with pytest.raises(OSError, match="No space left"):
            run.set_status("running")


def test_a_long_traceback_is_cut_to_its_tail(tmp_path):
    def deep(n):
        if n == 0:
            raise RecursionError("end")
        (deep if n % 2 else lambda k: deep(k))(n - 1)

    with create(tmp_path) as run:
        try:
            deep(60)
        except RecursionError as error:
            run.set_status("failed", error=error)
        lines = run.status["error"]["traceback"].splitlines()
    assert len(lines) == 30
    assert lines[-1] == "RecursionError: end"


def test_the_newest_unfinished_equal_run_is_resumed(tmp_path):
    runs = [create(tmp_path) for _ in range(3)]
    for run, state in zip(runs, ("interrupted", "failed", "finished"), strict=True):
        run.set_status(state)
        run.close()
    with find_resumable(tmp_path, "cube-v0", "fac", 0, CONFIG) as found:
        assert found.path == runs[1].path
        assert found.is_in_use()
    runs[1].set_status("finished")
    with find_resumable(tmp_path, "cube-v0", "fac", 0, CONFIG) as found:
        assert found.path == runs[0].path


def test_other_configurations_seeds_and_tasks_are_not_resumed(tmp_path):
    with create(tmp_path, seed=1) as run:
        run.set_status("interrupted")
    find = find_resumable
    assert find(tmp_path, "cube-v0", "fac", 1, CONFIG | {"lr": 1.0}) is None
    assert find(tmp_path, "cube-v0", "fac", 0, CONFIG) is None
    assert find(tmp_path, "cube-v0", "fac", 11, CONFIG) is None
    assert find(tmp_path, "cube-v0", "fql", 1, CONFIG) is None
    assert find(tmp_path, "scene-v0", "fac", 1, CONFIG) is None
    assert find(tmp_path, "cube-v0", "fac", 1, CONFIG | {"steps": 900}) is None
    with find(tmp_path, "cube-v0", "fac", 1, CONFIG | {"steps": 900, "new": 1}, ignore={"steps", "new"}) as found:
        assert found.path == run.path


def test_a_folder_that_was_never_completed_is_not_resumed_and_not_opened(tmp_path):
    with create(tmp_path) as run:
        (run.path / "status.json").unlink()
    assert find_resumable(tmp_path, "cube-v0", "fac", 0, CONFIG) is None
    with pytest.raises(RunDirectoryError, match=r"is no run directory: expected a status\.json"):
        RunDirectory.open(run.path)


def test_damaged_json_names_the_file(tmp_path):
    with create(tmp_path) as run:
        (run.path / "config.json").write_text('{"lr":')
        with pytest.raises(RunDirectoryError, match=r"config.json cannot be read as JSON"):
            _ = run.config


def test_a_run_in_use_is_not_resumed_twice(tmp_path):
    run = create(tmp_path)
    reader = RunDirectory.open(run.path)
    assert reader.is_in_use()
    with pytest.raises(RunDirectoryError, match=f"being written by process {os.getpid()} on "):
        find_resumable(tmp_path, "cube-v0", "fac", 0, CONFIG)
    run.close()
    assert not reader.is_in_use()
    reader.claim()
    reader.claim()
    reader.close()


def test_a_killed_run_says_running_but_is_free(tmp_path):
    code = """
import json, sys, time
from offlow_core.training import run_directory
from offlow_core.training.run_directory import RunDirectory
run = RunDirectory.create(sys.argv[1], "cube-v0", "fac", 0, json.loads(sys.argv[2]), {})
print("started", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(tmp_path), json.dumps(CONFIG)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        with pytest.raises(RunDirectoryError, match=f"process {process.pid} on"):
            find_resumable(tmp_path, "cube-v0", "fac", 0, CONFIG)
        os.kill(process.pid, signal.SIGKILL)
    with find_resumable(tmp_path, "cube-v0", "fac", 0, CONFIG) as run:
        assert run.status["state"] == "running"
        assert run.status["pid"] == process.pid
