"""Worker processes that collect episodes, and the parent's side of them."""

import contextlib
import errno
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

from offlow_core.data.collect.episode import Episode
from offlow_core.data.collect.parts import PartsFolder
from offlow_core.data.collect.protocol import CollectError, Protocol

OnRows = Callable[[int], object]
OnEpisode = Callable[[int, Counter[str]], object]

REPORT_INTERVAL_S = 0.5
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Job:
    """What every worker of a collection needs to know."""

    protocol: Protocol
    episode_rows: int
    seed: int
    parts: Path
    shadow_size: int | None = None


class Collector(Interface):
    """What makes the episodes of one family of environments."""

    def collect(self, seed: int, episode: int, report: Callable[[int], object]) -> Episode:
        """Episode number `episode`; `report(rows)` is called after each step."""
        ...


def make_collector(protocol: Protocol, episode_rows: int, shadow_size: int | None = None) -> Collector:
    """The collector of the protocol's family, with its environment; `shadow_size` is for rendered frames."""
    from offlow_core.data.collect.manipulation import ManipulationCollector
    from offlow_core.data.collect.pointmaze import PointMazeCollector

    if protocol.family == "pointmaze":
        return PointMazeCollector(protocol, episode_rows)
    return ManipulationCollector(protocol, episode_rows, shadow_size)


class Reporter:
    """Tells the parent now and then how many rows of the running episode there are."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.last = time.monotonic()

    def __call__(self, rows: int) -> None:
        now = time.monotonic()
        if now - self.last >= REPORT_INTERVAL_S:
            self.last = now
            self.connection.send(("rows", rows))


def work(connection: Connection, job: Job) -> None:
    """Body of a worker: collect the episodes whose numbers arrive, until the parent hangs up or is gone."""
    # Ctrl-C reaches the whole process group; only the parent decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not job.protocol.visual:
        os.environ["MUJOCO_GL"] = "disabled"
    try:
        collector = make_collector(job.protocol, job.episode_rows, job.shadow_size)
        parts = PartsFolder(job.parts)
        while True:
            episode = connection.recv()
            collected = collector.collect(job.seed, episode, Reporter(connection))
            parts.save(episode, collected)
            connection.send(("done", collected.counts))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in DISK_FULL
        reason = "the disk is full" if full else f"{error!r}\n{traceback.format_exc()}"
        connection.send(("failed", reason))


class Worker:
    """The parent's handle of one worker process."""

    def __init__(self, job: Job):
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, job), daemon=True)
        self.process.start()
        other.close()
        self.episode = -1
        self.rows = 0

    def give(self, episode: int) -> None:
        """Let the worker collect `episode` next."""
        self.episode, self.rows = episode, 0
        # If the process has died, the next message says so.
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(episode)

    def message(self) -> tuple:
        """The next message; an exit of the process counts as one."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return "died", self.process.exitcode

    def stop(self) -> None:
        """End the process now; a half-written episode file stays under a temporary name."""
        self.connection.close()
        self.process.terminate()
        self.process.join()


def run_jobs(
    job: Job,
    episodes: Iterable[int],
    workers: int,
    on_rows: OnRows,
    on_episode: OnEpisode,
) -> None:
    """Collect `episodes` in worker processes.

    `on_rows(n)` hears of n more rows (or fewer, when an episode is rejected and begun again), `on_episode(episode,
    counts)` of each finished episode.

    Raises:
        CollectError: a worker failed or died; names the episode. Finished episodes stay.
    """
    waiting = list(reversed(list(episodes)))
    active: dict[Any, Worker] = {}
    try:
        while len(active) < workers and waiting:
            worker = Worker(job)
            active[worker.connection] = worker
            worker.give(waiting.pop())
        while active:
            for connection in wait(list(active)):
                worker = active[connection]
                finished = _handle(worker, job, on_rows, on_episode)
                if finished and waiting:
                    worker.give(waiting.pop())
                elif finished:
                    del active[connection]
                    worker.stop()
    finally:
        for worker in active.values():
            worker.stop()


def _handle(worker: Worker, job: Job, on_rows: OnRows, on_episode: OnEpisode) -> bool:
    """Take one message; whether the worker has finished its episode."""
    kind, *content = worker.message()
    if kind == "rows":
        on_rows(content[0] - worker.rows)
        worker.rows = content[0]
        return False
    if kind == "done":
        on_rows(job.episode_rows - worker.rows)
        on_episode(worker.episode, content[0])
        return True
    episode = f"episode {worker.episode} of {job.protocol.dataset}"
    kept = f"Finished episodes are kept in {job.parts}; the same command continues."
    if kind == "failed":
        raise CollectError(f"{episode} failed: {content[0]}. {kept}")
    raise CollectError(f"the worker that collected {episode} died, {_cause_of_death(content[0])}. {kept}")


def _cause_of_death(exit_code: int) -> str:
    if exit_code < 0:
        return f"killed by signal {-exit_code}; if nobody sent it, memory ran out: use fewer --workers"
    return f"with exit status {exit_code}"
