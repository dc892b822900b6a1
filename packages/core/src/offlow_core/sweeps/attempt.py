"""One job until it is finished, its retries are used up, or somebody asks it to stop.

`python -m offlow_core.sweeps.attempt JOB_FOLDER --program PATH` is what every engine runs. It needs nothing but the
job's folder: started again, on whatever machine, it goes on from the last checkpoint.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from offlow_core.claim import claim
from offlow_core.sweeps import end_with_parent
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.sweeps.job_log import AttemptEnd
from offlow_core.sweeps.next_step import Step, next_step, plan, progress_of
from offlow_core.sweeps.resources import thread_environment
from offlow_core.training.stopping import StopRequest

FINISHED, FAILED, UNUSABLE, ELSEWHERE, INTERRUPTED = 0, 1, 2, 75, 130
"""Exit statuses."""
POLL_S = 0.1
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
"""So that the log has what a program printed before it was killed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job of a folder; the exit status."""
    options = _parse(arguments)
    with StopRequest() as stop:
        # A scheduler's warning before it takes the machine away, as submitit arranges it.
        previous = signal.signal(signal.SIGUSR2, lambda *_: stop.request("SIGUSR2"))
        try:
            folder = JobFolder.open(options.folder)
            descriptor = claim(folder.lock_path, options.patience_s, lambda: stop.requested)
            if descriptor is None:
                print(f"{folder.path} is running elsewhere", file=sys.stderr)
                return INTERRUPTED if stop.requested else ELSEWHERE
            return Attempts(folder, options, stop, descriptor).run()
        except KeyboardInterrupt:
            return INTERRUPTED
        except (SweepError, OSError) as error:
            print(f"{options.folder}: {error}", file=sys.stderr)
            return UNUSABLE
        finally:
            signal.signal(signal.SIGUSR2, previous)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m offlow_core.sweeps.attempt", description=__doc__)
    parser.add_argument("folder", type=Path, help="OUT/jobs/NAME")
    parser.add_argument("--program", required=True, help="the command of the job's package, in its environment")
    parser.add_argument("--retries", type=int, default=2, help="failures in a row, without progress, that are borne")
    parser.add_argument("--threads", type=int, default=1, help="cores for the program")
    parser.add_argument("--patience_s", type=float, default=120.0, help="how long to wait for another attempt to end")
    parser.add_argument(
        "--pause_s", type=float, default=5.0, help="before the first retry; twice as long before the next"
    )
    return parser.parse_args(arguments)


class Attempts:
    """Starts the program again and again; holds the job's lock, which the program inherits."""

    def __init__(self, folder: JobFolder, options: argparse.Namespace, stop: StopRequest, descriptor: int):
        self._folder, self._options, self._stop, self._descriptor = folder, options, stop, descriptor
        self._log = folder.log

    def run(self) -> int:
        """The exit status; with a lock that outlives this process if the program does."""
        try:
            return self._run()
        finally:
            os.close(self._descriptor)

    def _run(self) -> int:
        failures = 0
        while True:
            step = next_step(self._folder)
            if step is None:
                return FINISHED
            before = progress_of(self._folder)
            status = self._try(step)
            if status is not None:
                return status
            failures = 1 if progress_of(self._folder) > before else failures + 1
            if failures > self._options.retries:
                return FAILED
            self._pause(self._options.pause_s * 2 ** (failures - 1))
            if self._stop.requested:
                return INTERRUPTED

    def _try(self, step: Step) -> int | None:
        """Run the program once; None if it is to be tried again."""
        words = step.words(self._folder, self._options.program, self._options.threads)
        environment = thread_environment(self._options.threads)
        with self._log.attempt(step.reason, words, environment) as log:
            start_s = time.monotonic()
            code = self._wait(self._start(words, environment, log.file))
            finished = plan(self._folder) is None
            how = "finished" if finished else "was interrupted" if self._stop.requested else "failed"
            log.end(AttemptEnd(how, code), time.monotonic() - start_s)
        if finished:
            return FINISHED
        if self._stop.requested:
            return INTERRUPTED
        # A program that ended well, but left nothing that can be used, would do the same again.
        return FAILED if code == 0 else None

    def _start(self, words: Sequence[str], environment: dict[str, str], log: int) -> subprocess.Popen:
        return subprocess.Popen(
            end_with_parent.command(list(words)),
            env={**os.environ, **environment, **UNBUFFERED},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[self._descriptor],
            process_group=0,  # a terminal's Ctrl-C reaches it through here, once
        )

    def _wait(self, program: subprocess.Popen) -> int:
        """Its exit status; a request to stop is passed on once, and a second one kills."""
        asked = False
        try:
            while program.poll() is None:
                if self._stop.requested and not asked:
                    program.terminate()
                    asked = True
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            raise
        return program.returncode

    def _pause(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not self._stop.requested:
            time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main())
