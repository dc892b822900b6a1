"""How methods are told apart, in pictures and on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offlow_core.training.curve_style import COLOURS

WIDTH = 2
"""Of a line on the page, in pixels."""
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))
"""Lengths on and off, in widths of the line; none: without gaps."""
MARKERS = (("", "circle"), ("s", "square"), ("^", "triangle-up"))
"""Each as matplotlib and as plotly call it."""


@dataclass(frozen=True)
class Look:
    """The line of a method."""

    colour: str
    lengths: tuple[float, ...]
    marker: str
    """Matplotlib's; empty: none."""
    symbol: str
    """Plotly's, which always shows where the evaluations are."""

    @property
    def dash(self) -> str:
        """The line as plotly and SVG write it."""
        return ",".join(f"{WIDTH * length:g}px" for length in self.lengths) or "solid"

    @property
    def drawn(self) -> dict[str, Any]:
        """Keywords for matplotlib."""
        line = (0, self.lengths) if self.lengths else "-"
        return {"color": self.colour, "linestyle": line, "marker": self.marker, "markersize": 4}


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A colour for each method; with more methods than colours another line, and then another marker."""
    found = {}
    for i, name in enumerate(methods):
        rest, colour = divmod(i, len(COLOURS))
        rest, dash = divmod(rest, len(DASHES))
        found[name] = Look(COLOURS[colour], DASHES[dash], *MARKERS[rest % len(MARKERS)])
    return found
