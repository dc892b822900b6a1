"""submitit for real, by its executor for one machine."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from toy_jobs import assert_same_tables, steps_reached, toy_folder, wait_until

from offlow_core.sweeps.attempt import FAILED, FINISHED
from offlow_core.sweeps.engines.engine import make_launch
from offlow_core.sweeps.engines.slurm import SlurmArray
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job_folder import JobFolder

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and needs its kernel to end a program")
PARAMETERS = {"cpus_per_task": 1, "mem_gb": 2, "slurm_partition": "gpu"}


def run_all(engine: SlurmArray, folders: list[JobFolder], environments: Path, retries: int = 0) -> dict[str, int]:
    """Exit statuses by job."""
    program = environments / "toy" / "bin" / "toy"
    engine.start([make_launch(folder, program, retries=retries, threads=1) for folder in folders])
    ended: dict[str, int] = {}
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


@linux
def test_a_job_is_queued_again_at_its_time_limit(environments, tmp_path):
    """submitit's warning, which Slurm sends before the end of a job's time."""
    folder = toy_folder(tmp_path, "--agent.pause_s=0.4")
    engine = SlurmArray(tmp_path / "slurm", {}, cluster="local")
    engine.start([make_launch(folder, environments / "toy" / "bin" / "toy", retries=0, threads=1)])
    wait_until(lambda: steps_reached(folder) >= 2)
    (job,) = engine.jobs.values()
    (worker,) = Path(f"/proc/{job.job_id}/task/{job.job_id}/children").read_text().split()
    os.kill(int(worker), signal.SIGUSR2)
    ended: dict[str, int] = {}
    while engine.is_busy:
        ended |= engine.poll()
        time.sleep(0.1)
    assert ended == {"one": FINISHED}
    log = folder.log_path.read_text()
    assert "it was interrupted" in log
    assert "goes on from its last checkpoint" in log


def test_wrong_parameters_are_named(tmp_path):
    with pytest.raises(SweepError, match="slurm_partion"):
        SlurmArray(tmp_path, {"slurm_partion": "gpu"}, cluster="local")


def test_slurm_has_to_be_there(tmp_path):
    with pytest.raises(SweepError, match="submitit cannot use slurm"):
        SlurmArray(tmp_path, {})
