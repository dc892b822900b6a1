"""A task: everything that follows from its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import gymnasium

from offlow_core.data.transitions import Dataset


class EnvironmentFactory(Protocol):
    """Builds one environment of a task; can be pickled and sent to a worker process."""

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """Observations are float32, or uint8 images; `reset(seed=...)` makes all that follows reproducible."""


@dataclass(frozen=True)
class Task:
    """What a task name means. All callables can be pickled."""

    name: str
    """As given."""
    canonical_name: str
    """With what the name leaves open filled in; two names of one task have the same."""
    suite: str
    episode_steps: int
    """Time limit of an episode."""
    make_environment: EnvironmentFactory
    load_dataset: Callable[[], Dataset]
    """Raises DatasetError where the data are missing or unusable."""
    semantics: Callable[[], dict]
    """Choices and library versions in force that can change a result; goes into the manifest of a run."""
    score_name: str = "success"
    """Column of the evaluation that is the headline number..."""
    score_scale: float = 100.0
    """... after multiplication with this."""

    def score(self, means: Mapping[str, float]) -> float:
        """The headline number of an evaluation from its means over episodes."""
        return self.score_scale * means[self.score_name]
