"""The picture of one set of data: a panel per method, over the values that its critics have learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offlow_core.training.curve_style import COLOURS, GREY, save_both
from offlow_dac.bandit.problem import BEST_ACTION, Score, true_rewards

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

LIMIT, DRAWN_LIMIT = 1.5, 1.45
GRID = np.linspace(-LIMIT, LIMIT, 61)
DRAWN_SAMPLES = 100
DPI = 110  # with so many points, more would only make the file larger
COLUMNS = 2
TITLES = {
    "two_blobs": "two blobs",
    "three_blobs": "three blobs",
    "moons": "two moons",
    "circles": "two circles",
}

Panel = tuple[np.ndarray, np.ndarray]
"""Actions [n, 2] of a method and its values on the grid [g, g]."""


def bandit_figure(
    name: str, data: np.ndarray, panels: Mapping[str, Panel], scores: Mapping[str, Score], path: Path
) -> list[Path]:
    """Draw the data [N, 2], coloured by reward, and on it each method; the paths of the PDF and the PNG."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(7.6, 0.9 + 3.5 * rows), layout=ConstrainedLayoutEngine(hspace=0.05))
    figure.suptitle(f"Where guidance takes a diffusion policy: {TITLES[name]}", x=0.01, ha="left", weight="bold")
    places = figure.subplots(rows, COLUMNS, sharey=True).ravel()
    for axes, (method, (actions, values)) in zip(places, panels.items(), strict=True):
        points = _draw(axes, method, data, actions, values, scores[method])
    colours = figure.colorbar(points, ax=list(places), shrink=0.6, pad=0.02)
    colours.set_label("reward of the data, without noise", fontsize=9, color=GREY)
    colours.ax.tick_params(labelsize=8, colors=GREY)
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9, frameon=False)
    return save_both(figure, path, DPI)


def _draw(
    axes: "Axes", method: str, data: np.ndarray, actions: np.ndarray, values: np.ndarray, score: Score
) -> "PathCollection":
    _style(axes, method, score)
    lines = axes.contour(GRID, GRID, values, levels=8, colors="0.7", linewidths=0.8, linestyles="solid")
    axes.clabel(lines, fontsize=7, fmt="%.2g", colors=GREY)
    points = axes.scatter(*data.T, s=6, c=true_rewards(data), cmap="viridis", vmin=-2, vmax=0, linewidth=0)
    shown = np.clip(actions[:DRAWN_SAMPLES], -DRAWN_LIMIT, DRAWN_LIMIT)
    label = f"{DRAWN_SAMPLES} actions; those outside at the border"
    axes.scatter(*shown.T, s=16, marker="x", color=COLOURS[1], linewidth=0.9, label=label)
    axes.scatter(*BEST_ACTION, s=120, marker="*", color="black", edgecolor="white", label="best action", zorder=4)
    return points


def _style(axes: "Axes", method: str, score: Score) -> None:
    axes.set_title(method, loc="left", fontsize=10)
    axes.set_xlabel(f"distance from data {score.distance:.2f}, reward {score.reward:.2f}", fontsize=9, color=GREY)
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    axes.tick_params(labelsize=8, colors=GREY)
    for spine in axes.spines.values():
        spine.set_color("0.8")
