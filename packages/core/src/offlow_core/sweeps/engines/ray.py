"""Jobs as tasks of a Ray cluster. Ray only starts the command; package environments are none of its business."""

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offlow_core import extras
from offlow_core.sweeps.engines.engine import Ended, Launch
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.resources import NO_PREALLOCATION

DEFAULTS = {"num_cpus": 1, "max_retries": 3}
"""Of a task: `max_retries` counts workers and machines that died."""
CONNECTION_TIMEOUT_S = 10.0
SWITCHED_OFF = {
    # Read when Ray is imported: it would pack the folder and start workers through uv, and report usage.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class RayTasks:
    """An engine; one task per job."""

    stops = "running jobs save a checkpoint and stop"

    def __init__(self, address: str | None, options: Mapping[str, Any]):
        extras.require("ray")
        if address is not None:
            _require_listener(address)
        os.environ.update(SWITCHED_OFF)
        import ray

        self._ray = ray
        self._options = {**DEFAULTS, **options}
        self._tasks: dict[Any, str] = {}
        # Without an address: a cluster of this machine alone, on loopback.
        alone = {"_node_ip_address": "127.0.0.1", "include_dashboard": False} if address is None else {}
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False, **alone)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise SweepError(f"no Ray cluster at {address or 'this machine'}: {error}") from error

    def start(self, launches: Sequence[Launch]) -> None:
        """Hand all of them to the cluster."""
        shared = {} if self._options.get("num_gpus", 1) in (0, 1) else NO_PREALLOCATION
        try:
            task = self._ray.remote(**self._options)(run_attempt)
        except (TypeError, ValueError) as error:
            raise SweepError(f"Ray does not accept the task options {self._options}: {error}") from error
        for launch in launches:
            environment = {**launch.environment, **shared}
            self._tasks[task.remote(launch.words, environment, str(Path.cwd()))] = launch.name

    @property
    def is_busy(self) -> bool:
        """Whether tasks wait or run; ends the session with the cluster when none does."""
        if not self._tasks and self._ray.is_initialized():
            self._ray.shutdown()
        return bool(self._tasks)

    def poll(self) -> dict[str, Ended]:
        """What has ended."""
        if not self._tasks:
            return {}
        done, _ = self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        return {self._tasks.pop(task): self._ended(task) for task in done}

    def stop(self) -> None:
        """Interrupt what runs, forget what waits."""
        for task in self._tasks:
            self._ray.cancel(task, force=False)

    def kill(self) -> None:
        """End the workers, and with them what they started."""
        for task in self._tasks:
            self._ray.cancel(task, force=True)
        self._tasks.clear()

    def _ended(self, task: Any) -> Ended:
        try:
            return Ended(self._ray.get(task))
        except self._ray.exceptions.RayError as error:  # cancelled, or its worker died too often
            return Ended(None, f"its Ray task ended without an exit status: {words_of(error)}")


def words_of(error: Exception) -> str:
    """The first line of what Ray says, or of what the task raised."""
    cause = getattr(error, "cause", error)
    line = next(iter(str(cause).strip().splitlines()), "")
    return f"{type(cause).__name__}: {line}" if line else type(cause).__name__


def _require_listener(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # such as auto, which Ray finds by itself
        return
    try:
        socket.create_connection((host, int(port)), CONNECTION_TIMEOUT_S).close()
    except OSError as error:
        raise SweepError(f"no Ray cluster at {address}: {error}") from error


def run_attempt(words: Sequence[str], environment: Mapping[str, str], folder: str) -> int:
    """What a worker does: the exit status of the command, which is asked to stop when the task is cancelled."""
    from offlow_core.sweeps import end_with_parent

    # Ray's workers must not hand their own settings on to a program with another Ray, or none.
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    command = end_with_parent.command(list(words))
    process = subprocess.Popen(command, cwd=folder, env={**inherited, **environment}, process_group=0)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        return process.wait()
