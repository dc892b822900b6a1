"""What is known of an evaluated episode, and means over episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np


@dataclass(frozen=True)
class EpisodeRecord:
    """One evaluated episode."""

    episode: int  # position in its evaluation, from 0
    seed: int  # what the environment was reset with
    return_: float  # undiscounted sum of the environment's own rewards
    length: int  # steps
    terminated: bool  # ended by the task (true) or by the step limit (false)
    success: float  # at the last step; nan if the environment reports none
    info: dict[str, float] = field(default_factory=dict)  # the other numbers in the last step's info

    def row(self) -> dict[str, float]:
        """Columns of a table of episodes; those of the last step's info are named `info/...`."""
        columns = {
            "episode": self.episode,
            "seed": self.seed,
            "return": self.return_,
            "length": self.length,
            "terminated": float(self.terminated),
            "success": self.success,
        }
        return columns | {f"info/{name}": value for name, value in self.info.items()}


def numbers_in(info: Mapping[str, Any]) -> dict[str, float]:
    """The entries of a step's info that are single numbers or truth values."""
    return {name: float(value) for name, value in info.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "biuf"
    return isinstance(value, Real | np.bool_)


def summarise(records: Sequence[EpisodeRecord]) -> dict[str, float]:
    """Means over episodes of return, length, success and each number of the last step's info.

    A number that only some episodes report is averaged over those.
    """
    if not records:
        raise ValueError("no episode records to summarise; evaluate at least one episode")
    rows = [record.row() for record in records]
    names = dict.fromkeys(name for row in rows for name in row if name not in ("episode", "seed", "terminated"))
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
