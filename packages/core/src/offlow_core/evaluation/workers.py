"""Processes that own environments: commands for several environments in, their outcomes out, one message each way."""

import multiprocessing
import os
import pickle
import sys
import time
import traceback
import types
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol

import gymnasium
import numpy as np

from offlow_core.evaluation.environment_slot import EnvironmentSlot, Outcome
from offlow_core.evaluation.errors import EvaluationError

STOP_GRACE_S = 5.0  # for environments to close (renderers take a while) before their process is killed


class Reset(NamedTuple):
    """Begin the episode of this seed in this slot."""

    slot: int
    seed: int


class Run(NamedTuple):
    """Execute an action [A] or a chunk [h, A] in this slot."""

    slot: int
    actions: np.ndarray


Command = Reset | Run


class Failure(NamedTuple):
    """Why a command could not be carried out."""

    slot: int
    reason: str


class WorkerDied(Exception):
    """A worker process is gone; the message says how it ended."""


class Worker(Protocol):
    """Owner of some environment slots. Every `send` is followed by one `receive`."""

    def send(self, commands: Sequence[Command]) -> None: ...
    def receive(self) -> list[Outcome] | Failure: ...
    def begin_stop(self) -> None: ...
    def finish_stop(self, deadline: float) -> None: ...


class Host:
    """Environment slots of one process, each built when it is first used."""

    def __init__(self, build: Callable[[], gymnasium.Env]) -> None:
        self._build = build
        self._slots: dict[int, EnvironmentSlot] = {}

    def execute(self, commands: Sequence[Command]) -> list[Outcome] | Failure:
        """Outcomes in the order of the commands, or the first failure."""
        outcomes = []
        for command in commands:
            try:
                outcomes.append(self._execute(command))
            except EvaluationError as error:
                return Failure(command.slot, f"{self._when(command.slot)}: {error}")
            except Exception:
                return Failure(command.slot, f"{self._when(command.slot)}:\n{traceback.format_exc()}")
        return outcomes

    def close(self) -> None:
        """Release all environments."""
        while self._slots:
            self._slots.popitem()[1].close()

    def _execute(self, command: Command) -> Outcome:
        if command.slot not in self._slots:
            self._slots[command.slot] = EnvironmentSlot(self._build)
        slot = self._slots[command.slot]
        return slot.reset(command.seed) if isinstance(command, Reset) else slot.run(command.actions)

    def _when(self, slot: int) -> str:
        return f"after {self._slots[slot].step} steps" if slot in self._slots else "while its environment was built"


class LocalWorker:
    """Runs its environments in the calling process, whose numpy global generator it leaves as it was."""

    def __init__(self, build: Callable[[], gymnasium.Env]) -> None:
        self._host = Host(build)

    def send(self, commands: Sequence[Command]) -> None:
        # Slots exchange the bit generator; what numpy caches beside it (half a pair of normals) is lost by that.
        state = np.random.get_state(legacy=False)  # noqa: NPY002
        try:
            self._reply = self._host.execute(commands)
        finally:
            np.random.set_state(state)  # noqa: NPY002

    def receive(self) -> list[Outcome] | Failure:
        return self._reply

    def begin_stop(self) -> None:
        self._host.close()

    def finish_stop(self, deadline: float) -> None:
        """Nothing runs on after `begin_stop`."""


class ProcessWorker:
    """Runs its environments in a spawned process, which ends with this one, however that happens."""

    def __init__(self, index: int, pickled_build: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        name = f"offlow-evaluation-{index}"
        self._process = context.Process(target=_serve, args=(theirs, pickled_build), name=name, daemon=True)
        # Only a factory that was defined in the main script needs it.
        with nullcontext() if b"__main__" in pickled_build else _main_script_hidden():
            self._process.start()
        theirs.close()

    def send(self, commands: Sequence[Command]) -> None:
        try:
            self._connection.send(commands)
        except OSError:
            raise WorkerDied(self._how_it_ended()) from None

    def receive(self) -> list[Outcome] | Failure:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise WorkerDied(self._how_it_ended()) from None

    def begin_stop(self) -> None:
        with suppress(OSError):  # it may have died already
            self._connection.send(None)
        self._connection.close()

    def finish_stop(self, deadline: float) -> None:
        self._process.join(max(deadline - time.monotonic(), 0))
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _how_it_ended(self) -> str:
        self._process.join(STOP_GRACE_S)
        return (
            f"the worker process {self._process.pid} died with exit code {self._process.exitcode}. "
            "A code of -9 is mostly the system running out of memory (use fewer num_envs or num_workers), one of -11 a "
            "crash inside the simulator (num_workers=0 runs it in this process, where a debugger can see it)"
        )


def _serve(connection: Connection, pickled_build: bytes) -> None:
    # Signals to the program's process group (Ctrl-C, a batch system's SIGTERM) are for the parent to react to: it may
    # want to finish its evaluation. This process ends when the pipe closes, that is when the parent lets go or is gone.
    os.setsid()
    # Unpickled where an environment is built, so that a factory that cannot be imported here is an ordinary failure.
    host = Host(lambda: pickle.loads(pickled_build)())
    with suppress(EOFError, OSError):
        while (commands := connection.recv()) is not None:
            connection.send(host.execute(commands))
    host.close()


@contextmanager
def _main_script_hidden() -> Generator[None]:
    # A spawned process imports the main script again; a training program's would load jax or torch into every worker.
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
