"""What an engine is asked to do."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from offlow_core.sweeps.job_folder import JobFolder


@dataclass(frozen=True)
class Launch:
    """One job, to be run by whatever means: the command for it, and variables that its environment gets."""

    folder: JobFolder
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The job's."""
        return self.folder.job.name


class Ended(NamedTuple):
    """How an attempt ended."""

    code: int | None
    """The exit status of its process, below 0 for a signal; None where no process came to have one."""
    reason: str = ""
    """Why there is none."""


def make_launch(folder: JobFolder, program: Path, *, retries: int, threads: int) -> Launch:
    """The launch of a job by `offlow_core.sweeps.attempt`, in this Python's environment."""
    # -P: nothing in the folder that the sweep is started in can be mistaken for a module.
    words = [sys.executable, "-P", "-m", "offlow_core.sweeps.attempt", str(folder.path), f"--program={program}"]
    return Launch(folder, (*words, f"--retries={retries}", f"--threads={threads}"))


class Engine(Protocol):
    """Runs launches. It keeps nothing that their folders do not tell: another one may go on with them."""

    stops: str
    """What a first Ctrl-C does, for who presses it."""

    def start(self, launches: Sequence[Launch]) -> None:
        """Take the launches on."""

    def poll(self) -> dict[str, Ended]:
        """How attempts ended, by job, that have done so since the last call; starts what can be started."""

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to wait for."""

    def stop(self) -> None:
        """Ask for an end that loses nothing."""

    def kill(self) -> None:
        """End everything now."""
