"""Jobs of the toy program, and what tests wait for."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from offlow_core.sweeps.job import Job
from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.training.run_directory import RunDirectory

PATIENCE_S = 60.0


def toy_folder(out: Path, *options: str, name: str = "one", seeds: tuple[int, ...] = (0,)) -> JobFolder:
    """The folder, made, of a job with these options."""
    folder = JobFolder.in_sweep(out, Job(name, "toy", "toy", ("--env_name=corridor", *options), seeds))
    folder.write()
    return folder


def attempt_words(folder: JobFolder, environments: Path, *options: str) -> list[str]:
    """The command of an attempt; a retry follows at once unless `options` say something else."""
    program = environments / "toy" / "bin" / "toy"
    words = [sys.executable, "-m", "offlow_core.sweeps.attempt", str(folder.path), f"--program={program}"]
    return [*words, "--pause_s=0.01", *options]


def attempt(folder: JobFolder, environments: Path, *options: str) -> int:
    """The status with which an attempt ends."""
    return subprocess.run(attempt_words(folder, environments, *options), check=False).returncode


def wait_until(happens: Callable[[], bool]) -> None:
    """Return when it has happened; fail when it does not."""
    end_s = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.05)


def steps_reached(folder: JobFolder) -> int:
    """The last step in the tables of a job's runs."""
    return folder.status().steps


def program_of(folder: JobFolder) -> int:
    """Process number of the program that works on a job."""
    (run,) = folder.status().runs
    return RunDirectory.open(run).status["pid"]


def assert_same_tables(found: JobFolder, expected: JobFolder) -> None:
    """The runs of two jobs have equal tables, seed by seed."""
    mine, theirs = found.status().runs, expected.status().runs
    assert len(mine) == len(theirs) == len(expected.job.seeds)
    for one, other in zip(mine, theirs, strict=True):
        for name in ("train.csv", "eval.csv", "episodes.csv"):
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
