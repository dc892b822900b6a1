"""Jobs as processes of this machine, as many at a time as its cores and memory bear."""

import errno
import math
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from offlow_core.sweeps import end_with_parent
from offlow_core.sweeps.engines.engine import Ended, Launch
from offlow_core.sweeps.engines.memory import available_gb
from offlow_core.sweeps.resources import NO_PREALLOCATION, cores

SETTLING_S = 60.0
"""How long a program takes at most until it has the memory that it needs."""
INSISTING_S = 5.0
RESTING_S = 5.0
"""How long nothing is started after the machine had not even enough for another process."""
SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""What that fails with: processes, memory, open files. It passes, and is no fault of the job."""


@dataclass(frozen=True)
class Room:
    """What this machine has for jobs. At least one job runs, however small it is."""

    workers: int
    memory_gb_per_job: float
    gpus: tuple[str, ...] = ()
    jobs_per_gpu: int = 1
    available_gb: Callable[[], float | None] = available_gb

    @classmethod
    def of(
        cls, workers: int | None, threads: int, memory_gb_per_job: float, gpus: Sequence[str], jobs_per_gpu: int
    ) -> "Room":
        """With as many workers as the cores are for (or the GPUs, if there are any), unless a number is given."""
        default = len(gpus) * jobs_per_gpu if gpus else max(1, cores() // threads)
        return cls(workers or default, memory_gb_per_job, tuple(gpus), jobs_per_gpu)

    def admits(self, running: int, settling: int) -> bool:
        """Whether one more job fits beside `running` ones, of which `settling` are still about to take their memory."""
        if running == 0:
            return True
        if running >= self.workers:
            return False
        free_gb = self.available_gb()
        return free_gb is None or free_gb >= (settling + 1) * self.memory_gb_per_job


@dataclass
class _Running:
    launch: Launch
    process: subprocess.Popen
    since_s: float
    gpu: str | None


class LocalPool:
    """An engine; every attempt is a process in a session of its own, which ends when this process does."""

    stops = "running jobs save a checkpoint and stop"

    def __init__(self, room: Room, *, retries: int, clock: Callable[[], float] = time.monotonic):
        self._room, self._retries, self._clock = room, retries, clock
        self._waiting: deque[Launch] = deque()
        self._running: list[_Running] = []
        self._setbacks: dict[str, int] = {}
        self._rests_until_s = -math.inf

    def start(self, launches: Sequence[Launch]) -> None:
        """Put the launches into the queue."""
        self._waiting.extend(launches)

    @property
    def is_busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._waiting or self._running)

    def poll(self) -> dict[str, Ended]:
        """What has ended; an attempt that was killed is queued again, a bounded number of times."""
        ended: dict[str, Ended] = {}
        for running in [one for one in self._running if one.process.poll() is not None]:
            self._running.remove(running)
            status = running.process.returncode
            if status >= 0 or not self._queue_again(running.launch):
                ended[running.launch.name] = Ended(status)
        while self._waiting and self._may_start():
            launch = self._waiting.popleft()
            failure = self._try_to_begin(launch)
            if failure is not None:
                ended[launch.name] = Ended(None, f"it cannot be started: {failure}")
        return ended

    def _may_start(self) -> bool:
        return self._clock() >= self._rests_until_s and self._room.admits(len(self._running), self._settling())

    def _try_to_begin(self, launch: Launch) -> OSError | None:
        """What keeps a job from being started for good: its log, for example, from which others are not to suffer."""
        try:
            self._running.append(self._begin(launch))
        except OSError as error:
            if error.errno not in SHORTAGES:
                return error
            self._rests_until_s = self._clock() + RESTING_S
            return None if self._queue_again(launch) else error
        return None

    def _queue_again(self, launch: Launch) -> bool:
        """Put a job that need not be to blame at the end of the queue; False once it has been so too often."""
        if self._setbacks.setdefault(launch.name, 0) >= self._retries:
            return False
        self._setbacks[launch.name] += 1
        self._waiting.append(launch)
        return True

    def stop(self) -> None:
        """Forget what waits, ask what runs to save and stop."""
        self._waiting.clear()
        self._setbacks = {running.launch.name: self._retries for running in self._running}
        for running in self._running:
            running.process.terminate()

    def kill(self) -> None:
        """A second signal to what was asked to stop, which insists; whoever ignores that, too, is killed."""
        self._waiting.clear()
        for running in self._running:
            running.process.terminate()
        deadline = self._clock() + INSISTING_S
        for running in self._running:
            try:
                running.process.wait(max(0.0, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                os.killpg(running.process.pid, signal.SIGKILL)
                running.process.wait()
        self._running.clear()

    def _settling(self) -> int:
        return sum(self._clock() - running.since_s < SETTLING_S for running in self._running)

    def _begin(self, launch: Launch) -> _Running:
        gpu = self._free_gpu()
        environment = {**os.environ, **launch.environment}
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        if self._room.jobs_per_gpu > 1:
            environment |= NO_PREALLOCATION
        with launch.folder.log_path.open("ab") as log:
            process = subprocess.Popen(
                end_with_parent.command(list(launch.words)),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C is for this process, which passes it on
            )
        return _Running(launch, process, self._clock(), gpu)

    def _free_gpu(self) -> str | None:
        """The one with the fewest jobs."""
        used = [running.gpu for running in self._running]
        return min(self._room.gpus, key=used.count, default=None)
