"""What a sweep prints: its commands beforehand, its results afterwards."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from offlow_core.sweeps.job_folder import NOT_STARTED, JobFolder, JobStatus
from offlow_core.sweeps.next_step import plan
from offlow_core.sweeps.resources import as_assignments, thread_environment
from offlow_core.wording import counted


def command_line(folder: JobFolder, status: JobStatus, program: Path, threads: int) -> str:
    """A job's command as a shell takes it, with its state behind; one that would not be run is a comment."""
    step = plan(folder)
    if step is None or status.state == "running":
        words = [str(program), *folder.job.words, f"--save_dir={folder.runs_path}"]
        return f"# {shlex.join(words)}  # {folder.job.name}: {status.state}: {status.reason}"
    words = step.words(folder, str(program), threads)
    line = shlex.join([*as_assignments(thread_environment(threads)), *words])
    state = NOT_STARTED if status.state == NOT_STARTED else f"{status.state}: {status.reason}; {step.reason}"
    return f"{line}  # {folder.job.name}: {state}"


def summary(statuses: Mapping[str, JobStatus], folders: Sequence[JobFolder]) -> str:
    """A table of all jobs, and below it why some failed."""
    rows = [("job", "state", "score", "run")]
    failures = []
    for folder in folders:
        status = statuses[folder.job.name]
        score = "" if status.score is None else f"{status.score[1]:.1f} ({status.score[0]})"
        where = str(status.runs[0]) if len(status.runs) == 1 else str(folder.runs_path) if status.runs else ""
        rows.append((folder.job.name, status.state, score, where))
        if status.state == "failed":
            failures.append(f"{folder.job.name} failed: {status.reason}\n  see {folder.log_path}")
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows]
    return "\n".join([*lines, *failures])


def closing(statuses: Mapping[str, JobStatus], out: Path, again: str) -> str:
    """How many jobs are done, and what to do next."""
    unfinished = sum(status.state != "finished" for status in statuses.values())
    if unfinished == 0:
        return f"all {counted(len(statuses), 'job')} finished; next: offlow report {shlex.quote(str(out))}"
    done = len(statuses) - unfinished
    return (
        f"{done} of {counted(len(statuses), 'job')} finished; go on with the same command: {again}\n"
        f"what there is: offlow report {shlex.quote(str(out))}"
    )
