"""How all pictures look."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offlow_core.files import atomic_file
from offlow_core.suites.score import ScoreRule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart with every common kind of colour vision (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
GREY = "0.35"
DPI = 150


def style(axes: "Axes", title: str, label: str) -> None:
    """A grey subtitle, the axis' label, and little else. Names of tasks and scores are no formulas, even with a $."""
    axes.set_title(title, loc="left", fontsize=9, color=GREY, parse_math=False)
    axes.set_ylabel(label, fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8, colors=GREY)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("0.7")


def finish_score_axis(axes: "Axes", top: float, score: ScoreRule) -> None:
    """A share starts at 0 and ends at 110 at most."""
    if score.is_share:
        axes.set_ylim(0, min(max(1.15 * top, 10), 110))


def finish_step_axis(axes: "Axes", steps: np.ndarray, *, intervals: int, named: bool) -> None:
    """From the first to the last step, with short numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(steps.min(), max(steps.max(), 1))
    axes.xaxis.set_major_locator(MaxNLocator(intervals))
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    if named:
        axes.set_xlabel("steps", fontsize=8, color=GREY)


def save(figure: "Figure", path: Path) -> Path:
    """Write the PNG; its path."""
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=DPI)
    return path


def save_both(figure: "Figure", path: Path, dpi: int = DPI) -> list[Path]:
    """The PDF of this path, and a PNG beside it."""
    paths = [path, path.with_suffix(".png")]
    for kind, target in zip(("pdf", "png"), paths, strict=True):
        with atomic_file(target) as file:
            # Without a date, the same picture makes the same file.
            figure.savefig(file, format=kind, dpi=dpi, metadata={"CreationDate": None} if kind == "pdf" else None)
    return paths


def _short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"
