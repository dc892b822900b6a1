"""A whole sweep: its folder, its environments, its engine."""

import shlex
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from offlow_core.option_checks import OptionError, check
from offlow_core.sweeps.attempt import INTERRUPTED
from offlow_core.sweeps.engines.engine import Engine, Launch, make_launch
from offlow_core.sweeps.engines.local import LocalPool, Room
from offlow_core.sweeps.environments import choose_environments
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job import Job
from offlow_core.sweeps.job_folder import JobFolder, JobStatus
from offlow_core.sweeps.launcher import read_statuses, run_launches, to_run
from offlow_core.sweeps.option_values import read_settings, read_values
from offlow_core.sweeps.resources import cores
from offlow_core.sweeps.wording import closing, command_line, summary
from offlow_core.wording import counted


@dataclass(frozen=True)
class EngineOptions:
    """Where and how jobs run; none of it changes their numbers."""

    engine: Literal["local", "slurm", "slurm-local", "ray"] = "local"
    """This machine, a Slurm cluster (extra `slurm`; slurm-local: its executor on this machine) or Ray (extra `ray`)."""
    workers: int | None = None
    """local: jobs at a time; None: as many as there are cores for (or GPUs)."""
    threads_per_job: int = 1
    """Cores of one job."""
    memory_gb_per_job: float = 3.0
    """local: free memory without which no second job starts."""
    gpus: str = ""
    """local: GPUs by number, separated by commas; jobs take them in turns."""
    jobs_per_gpu: int = 1
    """local: how many share one."""
    retries: int = 2
    """Failures in a row, without a new checkpoint, after which a job is given up."""
    environment: str = "auto"
    """auto: `.venvs/PACKAGE` of the clone that this is started in, made by uv; current: where this program runs;
    FOLDER: FOLDER/PACKAGE, made by you."""
    cuda: bool = False
    """JAX packages with CUDA."""
    extra: tuple[str, ...] = ()
    """Further extras of the packages, such as wandb."""
    slurm: tuple[str, ...] = ()
    """KEY=VALUE for submitit: slurm_partition=gpu timeout_min=600 gpus_per_node=1 mem_gb=16 ..."""
    detach: bool = False
    """slurm: submit and return."""
    ray_address: str | None = None
    """The cluster; None: one of this machine, for this sweep."""
    ray: tuple[str, ...] = ()
    """KEY=VALUE for Ray's tasks: num_gpus=0.5 num_cpus=2 ..."""

    def __post_init__(self) -> None:
        for name in ("threads_per_job", "jobs_per_gpu"):
            check(self, name, lambda value: value >= 1, "at least 1")
        check(self, "workers", lambda value: value is None or value >= 1, "at least 1")
        check(self, "retries", lambda value: value >= 0, "at least 0")
        check(self, "memory_gb_per_job", lambda value: value > 0, "above 0")
        if self.detach and self.engine != "slurm":
            raise OptionError(f"--detach is for --engine slurm; with {self.engine} jobs end when nobody waits for them")


class Sweep:
    """The jobs in their folder; nothing is written before `run`."""

    def __init__(self, jobs: Sequence[Job], options: EngineOptions, out: Path, extras: Mapping[str, Collection[str]]):
        if out.exists() and not out.is_dir():
            raise SweepError(f"--out {out} is a file; name a folder")
        self._options, self._out, self._extras = options, out, extras
        self._environments = choose_environments(options.environment, Path.cwd())
        self._folders = [JobFolder.in_sweep(out, job) for job in jobs]
        self.statuses = read_statuses(self._folders)

    @property
    def is_finished(self) -> bool:
        """Whether every job is."""
        return all(status.state == "finished" for status in self.statuses.values())

    def commands(self) -> list[str]:
        """Every job's command with its state."""
        threads = self._options.threads_per_job
        return [
            command_line(folder, self.statuses[folder.job.name], self._program(folder.job), threads)
            for folder in self._folders
        ]

    def run(self, again: str) -> int:
        """Run what is not finished and print what came of it; the exit status. `again` is the command that goes on."""
        waiting = to_run(self._folders, self.statuses)
        print(f"{counted(len(self._folders), 'job')} in {self._out}, {len(waiting)} to run", file=sys.stderr)
        for folder in waiting:
            folder.write()
            for damaged in self.statuses[folder.job.name].damaged:
                print(f"{damaged}; it does not count, and is kept in {folder.set_aside_path}", file=sys.stderr)
        ready = self._prepare(waiting)
        check_commands([(self._program(folder.job), folder.job) for folder in ready])
        engine = make_engine(self._options, self._out) if ready else None
        if engine is not None and self._options.detach:
            engine.start(self._launches(ready))
            print(f"submitted; {again} shows how far they are, once it has waited for what is not running yet")
            return 0
        stopped = engine is not None and run_launches(engine, self._launches(ready), self._folders, self.statuses)
        print(summary(self.statuses, self._folders))
        print(closing(self.statuses, self._out, again))
        return INTERRUPTED if stopped else 0 if self.is_finished else 1

    def _launches(self, ready: Sequence[JobFolder]) -> list[Launch]:
        told = {"retries": self._options.retries, "threads": self._options.threads_per_job}
        return [make_launch(folder, self._program(folder.job), **told) for folder in ready]

    def _program(self, job: Job) -> Path:
        return self._environments.program(job.package, job.command)

    def _prepare(self, waiting: Sequence[JobFolder]) -> list[JobFolder]:
        """Make the environments; the jobs of a package that cannot have one fail, the others are returned."""
        failures: dict[tuple[str, str], str] = {}
        for package, command in dict.fromkeys((folder.job.package, folder.job.command) for folder in waiting):
            extras = {*self._extras.get(package, ()), *(["cuda"] if self._options.cuda else [])}
            try:
                self._environments.prepare(package, command, extras)
            except SweepError as error:
                failures[package, command] = str(error)
                print(f"{package}: its jobs fail: {error}", file=sys.stderr)
        ready = []
        for folder in waiting:
            reason = failures.get((folder.job.package, folder.job.command))
            if reason is None:
                ready.append(folder)
            else:
                self.statuses[folder.job.name] = JobStatus("failed", reason)
        return ready


def check_commands(jobs: Sequence[tuple[Path, Job]]) -> None:
    """Have the programs read one command line of each kind; SweepError with what the first says that refuses it.

    A slip in --set or --grid is so one message, and not a failure of every job.
    """
    kinds = {
        (program, *(word for word in job.arguments if not word.startswith("--env_name="))): [str(program), *job.words]
        for program, job in jobs
    }
    with ThreadPoolExecutor(cores()) as pool:
        for refusal in pool.map(_refusal, kinds.values()):
            if refusal is not None:
                raise SweepError(refusal)


def _refusal(words: Sequence[str]) -> str | None:
    done = subprocess.run([*words, "--print_config"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return f"{shlex.join(words)} is refused, so nothing was started: {done.stderr.strip()}"


def make_engine(options: EngineOptions, out: Path) -> Engine:
    """The engine that the options name; what an engine needs is imported with it."""
    if options.engine == "local":
        gpus = [gpu for gpu in options.gpus.split(",") if gpu]
        room = Room.of(options.workers, options.threads_per_job, options.memory_gb_per_job, gpus, options.jobs_per_gpu)
        return LocalPool(room, retries=options.retries)
    if options.engine == "ray":
        from offlow_core.sweeps.engines.ray import RayTasks

        task_options = read_values(read_settings(options.ray, "ray"))
        return RayTasks(options.ray_address, {"num_cpus": options.threads_per_job, **task_options})
    from offlow_core.sweeps.engines.slurm import SlurmArray

    parameters = {"cpus_per_task": options.threads_per_job, **read_values(read_settings(options.slurm, "slurm"))}
    return SlurmArray(out / "slurm", parameters, cluster="slurm" if options.engine == "slurm" else "local")
