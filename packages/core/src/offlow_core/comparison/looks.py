"""How methods are told apart, in pictures and on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offlow_core.training.curve_style import COLOURS

LINES = (("-", "solid"), ((0, (5, 2)), "dash"), ((0, (1.5, 1.5)), "dot"))
"""Each as matplotlib and as plotly call it."""


@dataclass(frozen=True)
class Look:
    """The line of a method."""

    colour: str
    line: Any
    """Matplotlib's line style."""
    dash: str
    """The same line in plotly."""

    @property
    def drawn(self) -> dict[str, Any]:
        """Keywords for matplotlib."""
        return {"color": self.colour, "linestyle": self.line}


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A colour for each method; with more methods than colours, another line."""
    found = {}
    for i, name in enumerate(methods):
        line, dash = LINES[i // len(COLOURS) % len(LINES)]
        found[name] = Look(COLOURS[i % len(COLOURS)], line, dash)
    return found
