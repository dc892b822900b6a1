"""Runs jobs on an engine until all have ended or somebody stops it, and says how they are."""

import sys
import time
from collections.abc import Mapping, Sequence

from offlow_core.sweeps.attempt import ELSEWHERE, FINISHED, INTERRUPTED
from offlow_core.sweeps.engines.engine import Ended, Engine, Launch
from offlow_core.sweeps.job_folder import JobFolder, JobStatus, State
from offlow_core.sweeps.job_log import exit_words
from offlow_core.sweeps.sweep_progress import SweepProgress
from offlow_core.training.stopping import StopRequest

POLL_S = 0.2
REFRESH_S = 2.0


def run_launches(
    engine: Engine, launches: Sequence[Launch], folders: Sequence[JobFolder], statuses: dict[str, JobStatus]
) -> bool:
    """Run the launches; whether it was stopped. `folders` are all jobs of the sweep, `statuses` is kept up to date."""
    with StopRequest() as stop, SweepProgress(folders, statuses) as progress:
        engine.start(launches)
        try:
            _wait(engine, stop, progress)
        except KeyboardInterrupt:
            engine.kill()
    return stop.requested


def _wait(engine: Engine, stop: StopRequest, progress: SweepProgress) -> None:
    told, next_look_s = False, 0.0
    while engine.is_busy:
        for name, ended in engine.poll().items():
            progress.ended(name, *_outcome(progress.folder(name), ended))
        if stop.requested and not told:
            engine.stop()
            print(f"{stop.reason}: {engine.stops}", file=sys.stderr)
            told = True
        if time.monotonic() >= next_look_s:
            begun_s = time.monotonic()
            progress.refresh()
            # Thousands of jobs on a slow disk: the time between two looks grows with what a look takes.
            next_look_s = time.monotonic() + max(REFRESH_S, 10 * (time.monotonic() - begun_s))
        time.sleep(POLL_S)
    progress.refresh()


def _outcome(folder: JobFolder, ended: Ended) -> tuple[State, str]:
    """State and reason by how a job's attempt ended."""
    code = ended.code
    if code == FINISHED:
        return "finished", ""
    if code == ELSEWHERE:
        return "running", "is running elsewhere"
    status = folder.status()
    if status.state == "finished":  # the attempt died after its program had done its work
        return "finished", ""
    if code is None:
        return "failed", ended.reason
    if code == INTERRUPTED:
        return "interrupted", status.reason
    if code < 0:
        return "failed", f"its attempt was {exit_words(code)}"
    return "failed", status.reason if status.state == "failed" else f"{exit_words(code)}: {folder.log.last_words()}"


def read_statuses(folders: Sequence[JobFolder]) -> dict[str, JobStatus]:
    """How every job is by its folder."""
    return {folder.job.name: folder.status() for folder in folders}


def to_run(folders: Sequence[JobFolder], statuses: Mapping[str, JobStatus]) -> list[JobFolder]:
    """The jobs that are neither finished nor being run by somebody."""
    return [folder for folder in folders if statuses[folder.job.name].state not in ("finished", "running")]
