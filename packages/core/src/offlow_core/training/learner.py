"""What the training loop drives: any algorithm on any backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from offlow_core.evaluation import Policy


@dataclass(frozen=True)
class Phase:
    """A stretch of equal updates; the ones before `first_step` 0 prepare what the others are counted from.

    Steps are numbered first_step + 1 to first_step + steps: a preparing phase ends at 0, so that step n of a run is the
    n-th update of the algorithm proper.
    """

    name: str
    first_step: int
    steps: int
    evaluates: bool = True

    @property
    def last_step(self) -> int:
        return self.first_step + self.steps


class Learner(Protocol):
    """One or more seeds of one algorithm, trained together.

    Updates are a function of the seed and the step alone: how `advance` calls are cut does not change them.
    """

    @property
    def phases(self) -> Sequence[Phase]:
        """What it goes through, in this order."""
        ...

    @property
    def seeds(self) -> Sequence[int]:
        """One for each agent."""
        ...

    @property
    def device(self) -> str:
        """What it computes on, in words."""
        ...

    def enter(self, phase: Any) -> bool:
        """Get ready for one of `phases` (at its start or in its middle); False if it has nothing left to do."""
        ...

    def advance(self, step: int, steps: int) -> None:
        """Make the updates step + 1 to step + steps of the phase entered."""
        ...

    def metrics(self) -> list[dict[str, float]]:
        """Metrics of the last update, one record per seed."""
        ...

    def interval_means(self) -> list[dict[str, float]]:
        """Means of metrics over all updates since the last call, one record per seed; empty if none are kept."""
        ...

    def validation_metrics(self, step: int) -> list[dict[str, float]]:
        """The losses on held-out transitions, one record per seed; empty records if there are none."""
        ...

    def leave(self, phase: Any) -> None:
        """Called once when the last step of a phase is done."""
        ...

    def is_finite(self) -> bool:
        """Whether all parameters of all seeds are finite."""
        ...

    def policy(self, index: int) -> Policy:
        """The current policy of one seed, for evaluation."""
        ...

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        """Everything that one seed's training state consists of."""
        ...

    def close(self) -> None:
        """Give environments and other resources back."""
        ...

    def load_state_arrays(self, states: Sequence[dict[str, np.ndarray]]) -> None:
        """Take the state of all seeds from what `state_arrays` gave."""
        ...
