"""Jobs as a Slurm job array, submitted by submitit; or the same with submitit's executor for one machine."""

import os
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offlow_core import extras
from offlow_core.sweeps import end_with_parent
from offlow_core.sweeps.engines.engine import Ended, Launch
from offlow_core.sweeps.errors import SweepError

LONGEST_MIN = 3 * 24 * 60
POLL_S = 0.1
SAVING_S = 60
"""How long a job has to write a checkpoint after Slurm's warning; part of submitit's `signal_delay_s` (90)."""


class AttemptCommand:
    """The command of an attempt as the function that submitit runs.

    submitit's own CommandFunction keeps all output in memory and cannot be queued again after a time limit; this one
    can, because an attempt goes on where the last one stopped.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], folder: str):
        self.words, self.environment, self.folder = list(words), dict(environment), folder
        self._process: subprocess.Popen | None = None

    def __call__(self) -> int:
        """The exit status."""
        environment, command = {**os.environ, **self.environment}, end_with_parent.command(self.words)
        self._process = subprocess.Popen(command, cwd=self.folder, env=environment, process_group=0)
        # Not `wait`, which would hold a lock when the warning interrupts it.
        while self._process.poll() is None:
            time.sleep(POLL_S)
        return self._process.returncode

    def checkpoint(self) -> Any:
        """Called on Slurm's warning: let the program save, and be queued again."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(SAVING_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return DelayedSubmission(AttemptCommand(self.words, self.environment, self.folder))


class SlurmArray:
    """An engine; a job array that goes on without this process, unless it is on this machine (`cluster="local"`)."""

    def __init__(self, folder: Path, parameters: Mapping[str, Any], cluster: str = "slurm"):
        extras.require("slurm")
        import submitit

        self._is_local = cluster == "local"
        self.stops = "the jobs end" if self._is_local else "the jobs go on; scancel ends them"
        self.jobs: dict[str, Any] = {}
        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**{"timeout_min": LONGEST_MIN, "name": "offlow", **parameters})
        except (RuntimeError, NameError, TypeError, ValueError, AssertionError, OSError) as error:
            raise SweepError(f"submitit cannot use {cluster} with {dict(parameters)}: {error}") from error

    def start(self, launches: Sequence[Launch]) -> None:
        """Submit all of them as one array."""
        from submitit.core.utils import FailedJobError

        try:
            with _interruptible(), self._executor.batch():
                here = str(Path.cwd())
                jobs = [self._executor.submit(AttemptCommand(one.words, one.environment, here)) for one in launches]
        except (FailedJobError, OSError) as error:
            raise SweepError(f"the jobs could not be submitted: {error}") from error
        self.jobs = {launch.name: job for launch, job in zip(launches, jobs, strict=True)}

    @property
    def ids(self) -> list[str]:
        """What Slurm calls the jobs."""
        return [job.job_id for job in self.jobs.values()]

    @property
    def is_busy(self) -> bool:
        """Whether jobs are queued or running."""
        return bool(self.jobs)

    def poll(self) -> dict[str, Ended]:
        """What has ended; submitit asks Slurm now and then."""
        ended = {name: _ended(job) for name, job in self.jobs.items() if job.done()}
        self.jobs = {name: job for name, job in self.jobs.items() if name not in ended}
        return ended

    def stop(self) -> None:
        """Wait no longer; what runs on this machine is ended."""
        if self._is_local:
            self.kill()
        else:
            self.jobs = {}

    def kill(self) -> None:
        """Cancel the jobs."""
        for job in self.jobs.values():
            job.cancel()
        while self._is_local and not all(job.done() for job in self.jobs.values()):
            time.sleep(POLL_S)
        self.jobs = {}


@contextmanager
def _interruptible() -> Generator[None]:
    """Let processes that are started meanwhile listen to SIGINT, by which submitit ends the jobs of this machine.

    A shell's background programs, and what they start, ignore it otherwise.
    """
    previous = signal.getsignal(signal.SIGINT)
    if previous != signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _ended(job: Any) -> Ended:
    """The attempt's exit status; where there is none, the job was ended by something else."""
    try:
        return Ended(job.result())
    except Exception:  # submitit passes on whatever the job raised, with all that it printed
        errors = f"; see {job.paths.stderr}" if job.paths.stderr.exists() else ""
        return Ended(None, f"submitit's job {job.job_id} ended without an exit status, in state {job.state}{errors}")
