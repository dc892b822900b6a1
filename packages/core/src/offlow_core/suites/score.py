"""The headline number of a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import overload

import numpy as np


@dataclass(frozen=True)
class ScoreRule:
    """An episode's number x -> 100 (x - low) / (high - low), so that `low` scores 0 and `high` scores 100."""

    name: str = "success"
    """What the score is called in tables and pictures."""
    column: str = "success"
    """Which number of an episode's record x is."""
    low: float = 0.0
    high: float = 1.0
    is_share: bool = True
    """Whether the score is a percentage, which lies between 0 and 100."""

    @property
    def label(self) -> str:
        """The name with its unit."""
        return f"{self.name} (%)" if self.is_share else self.name

    @property
    def slope(self) -> float:
        """Change of the score with x; differences and standard errors scale with it."""
        return 100 / (self.high - self.low)

    @overload
    def of(self, values: float) -> float: ...

    @overload
    def of(self, values: np.ndarray) -> np.ndarray: ...

    def of(self, values: float | np.ndarray) -> float | np.ndarray:
        """The score of values of the column, [...] -> [...]."""
        return self.slope * (values - self.low)

    def of_means(self, means: Mapping[str, float]) -> float:
        """The score of an evaluation from its means over episodes; the rule is linear, so the order does not matter."""
        return float(self.of(means[self.column]))


SUCCESS = ScoreRule()
RETURN = ScoreRule("return", "return", high=100.0, is_share=False)
"""The return itself, where nobody has published what to normalise it with."""
