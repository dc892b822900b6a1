"""submitit for real, by its executor for one machine."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from toy_jobs import assert_same_tables, steps_reached, toy_folder, wait_until

from offlow_core.option_checks import OptionError
from offlow_core.sweeps.attempt import FAILED, FINISHED
from offlow_core.sweeps.engines.engine import Ended, Launch, make_launch
from offlow_core.sweeps.engines.slurm import SlurmArray
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job_folder import JobFolder

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and needs its kernel to end a program")
PARAMETERS = {"cpus_per_task": 1, "mem_gb": 2, "slurm_partition": "gpu"}


def run_all(engine: SlurmArray, folders: list[JobFolder], environments: Path) -> dict[str, int | None]:
    """Exit statuses by job."""
    program = environments / "toy" / "bin" / "toy"
    engine.start([make_launch(folder, program, retries=0, threads=1) for folder in folders])
    return {name: how.code for name, how in wait_for(engine).items()}


def wait_for(engine: SlurmArray) -> dict[str, Ended]:
    """How the jobs end."""
    ended: dict[str, Ended] = {}
    while engine.is_busy:
        ended |= engine.poll()
        time.sleep(0.1)
    return ended


def test_an_array_of_jobs(environments, tmp_path):
    works = toy_folder(tmp_path, name="works")
    fails = toy_folder(tmp_path, "--agent.trouble_at=7", name="fails")
    engine = SlurmArray(tmp_path / "slurm", PARAMETERS, cluster="local")
    assert run_all(engine, [works, fails], environments) == {"works": FINISHED, "fails": FAILED}
    assert works.status().state == "finished"
    assert fails.status().reason == "RuntimeError: the toy broke"


@linux
@pytest.mark.parametrize("in_background", [False, True])
def test_a_worker_that_was_killed_loses_nothing(environments, tmp_path, in_background):
    if in_background:  # as what a shell starts with & inherits it
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        kill_and_go_on(environments, tmp_path)
    finally:
        if in_background:
            signal.signal(signal.SIGINT, previous)


def kill_and_go_on(environments: Path, tmp_path: Path) -> None:
    expected, folder = toy_folder(tmp_path, name="expected"), toy_folder(tmp_path, "--agent.pause_s=0.4")
    launch = make_launch(folder, environments / "toy" / "bin" / "toy", retries=0, threads=1)
    engine = SlurmArray(tmp_path / "slurm", {}, cluster="local")
    engine.start([launch])
    wait_until(lambda: steps_reached(folder) >= 2)
    engine.stop()
    wait_until(lambda: folder.status().state == "interrupted")
    again = SlurmArray(tmp_path / "slurm", {}, cluster="local")
    assert run_all(again, [expected, folder], environments) == {"expected": FINISHED, "one": FINISHED}
    assert_same_tables(folder, expected)


def worker_of(engine: SlurmArray) -> int:
    """The process that runs the only job, which submitit's own process starts."""
    (job,) = engine.jobs.values()
    children = Path(f"/proc/{job.job_id}/task/{job.job_id}/children")
    wait_until(lambda: bool(children.read_text()))
    return int(children.read_text())


@linux
def test_a_job_that_leaves_no_exit_status_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 0)
    engine, started = SlurmArray(tmp_path / "slurm", {}, cluster="local"), tmp_path / "started"
    engine.start([Launch(toy_folder(tmp_path), ("/bin/sh", "-c", f"touch {started}; exec sleep 60"))])
    wait_until(started.exists)
    (job,) = engine.jobs.values()
    os.kill(worker_of(engine), signal.SIGKILL)
    told = f"submitit's job {job.job_id} ended without an exit status, in state FINISHED; see {job.paths.stderr}"
    assert wait_for(engine) == {"one": Ended(None, told)}


@linux
def test_a_job_is_queued_again_at_its_time_limit(environments, tmp_path):
    """submitit's warning, which Slurm sends before the end of a job's time."""
    folder = toy_folder(tmp_path, "--agent.pause_s=0.4")
    engine = SlurmArray(tmp_path / "slurm", {}, cluster="local")
    engine.start([make_launch(folder, environments / "toy" / "bin" / "toy", retries=0, threads=1)])
    wait_until(lambda: steps_reached(folder) >= 2)
    os.kill(worker_of(engine), signal.SIGUSR2)
    assert wait_for(engine) == {"one": Ended(FINISHED)}
    log = folder.log_path.read_text()
    assert "it was interrupted" in log
    assert "goes on from its last checkpoint" in log


def test_wrong_parameters_are_named(tmp_path):
    with pytest.raises(SweepError, match="slurm_partion"):
        SlurmArray(tmp_path, {"slurm_partion": "gpu"}, cluster="local")


def test_without_submitit_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("offlow_core.extras.find_spec", lambda name: None)
    with pytest.raises(OptionError, match="extra `slurm`, which is not installed: uv run --package offlow-core --"):
        SlurmArray(tmp_path, {})


def test_slurm_has_to_be_there(tmp_path):
    with pytest.raises(SweepError, match="submitit cannot use slurm"):
        SlurmArray(tmp_path, {})
