"""What an algorithm makes of a run's evaluations beside the scores that every run reports."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from offlow_core.suites.score import ScoreRule
from offlow_core.training.run_directory import RunDirectory


class ModelSelection(Protocol):
    """A rule that may end a run early and may single out one of its evaluations."""

    def ends_early(self, evaluations: Mapping[str, np.ndarray]) -> bool:
        """Whether training is over after the last of these evaluations (columns of `eval.csv`)."""
        ...

    def scores(self, run: RunDirectory, score: ScoreRule) -> dict[str, float]:
        """Further final scores of a finished run, each under the name of its rule; may leave files in the run."""
        ...


class LastModel:
    """No selection: a run goes to its end."""

    def ends_early(self, evaluations: Mapping[str, np.ndarray]) -> bool:
        """Never."""
        return False

    def scores(self, run: RunDirectory, score: ScoreRule) -> dict[str, float]:
        """None."""
        return {}
