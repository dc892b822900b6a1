"""The two pictures of the toy experiments, one panel per method."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offlow_core.training.curve_style import COLOURS, GREY, save_both
from offlow_diffusion_ql.toy.bandit import CORNERS, NEAR, REWARD_SPREAD, Bandit, shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLONING_POINTS, Q_LEARNING_POINTS, POINTS_PER_CORNER = 1000, 100, 200
COLUMNS = 3
LIMIT, WIDE_LIMIT = 1.1, 2.5
WIDE_PANEL = "BC-MLE"  # of all imitations only its samples leave the square
CORNER_COLOURS = (COLOURS[4], COLOURS[6], COLOURS[5], COLOURS[2])


def cloning_figure(bandit: Bandit, samples: Mapping[str, np.ndarray], path: Path) -> list[Path]:
    """Draw the data and what each method imitates of it; the paths of the PDF and the PNG."""
    figure, panels = _panels(1 + len(samples), "Behaviour cloning of four modes")
    everywhere = np.random.default_rng(0).permutation(len(bandit.actions))
    _draw_samples(panels[0], "Ground truth", bandit.actions[everywhere], CLONING_POINTS, LIMIT, COLOURS[6])
    for panel, (name, points) in zip(panels[1:], samples.items(), strict=True):
        _draw_samples(panel, name, points, CLONING_POINTS, WIDE_LIMIT if name == WIDE_PANEL else LIMIT, COLOURS[0])
    return save_both(figure, path)


def q_learning_figure(bandit: Bandit, samples: Mapping[str, np.ndarray], path: Path) -> list[Path]:
    """Draw the rewards and where each method goes for them; the paths of the PDF and the PNG."""
    figure, panels = _panels(1 + len(samples), "Q-learning: the right-down corner pays best")
    _draw_rewards(panels[0], bandit)
    for panel, (name, points) in zip(panels[1:], samples.items(), strict=True):
        _draw_samples(panel, name, points, Q_LEARNING_POINTS, LIMIT, COLOURS[0])
    return save_both(figure, path)


def _panels(count: int, title: str) -> "tuple[Figure, Sequence[Axes]]":
    from matplotlib.figure import Figure

    # The paper has one row, whose numbers nobody could read in a README.
    rows = count // COLUMNS
    figure = Figure(figsize=(2.8 * COLUMNS, 0.3 + 3.1 * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return figure, figure.subplots(rows, COLUMNS).ravel()


def _draw_samples(axes: "Axes", name: str, points: np.ndarray, count: int, limit: float, colour: str) -> None:
    *near, elsewhere = 100 * shares(points)
    if limit == LIMIT and (outside := np.mean(np.abs(points).max(1) > limit)) > 0.005:
        name = f"{name} ({100 * outside:.0f}% out of the picture)"
    _style(axes, name, limit)
    axes.scatter(*points[:count].T, s=5 if count > 500 else 12, color=colour, alpha=0.5, linewidth=0)
    for corner, share in zip(CORNERS, near, strict=True):
        _mark_corner(axes, corner.centre, f"{share:.0f}%", limit)
    axes.set_xlabel(f"elsewhere {elsewhere:.1f}%", fontsize=9, color=GREY)


def _draw_rewards(axes: "Axes", bandit: Bandit) -> None:
    _style(axes, "Add Reward", LIMIT)
    by_corner = np.split(bandit.actions, len(CORNERS))
    for corner, points, colour in zip(CORNERS, by_corner, CORNER_COLOURS, strict=True):
        label = f"r ~ N({corner.reward:g}, {REWARD_SPREAD:g})"
        axes.scatter(*points[:POINTS_PER_CORNER].T, s=8, color=colour, alpha=0.7, linewidth=0, label=label)
    axes.legend(loc="center", fontsize=9, frameon=False, markerscale=2, handletextpad=0.2)


def _mark_corner(axes: "Axes", centre: tuple[float, float], text: str, limit: float) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle(centre, NEAR, fill=False, edgecolor="0.75", linewidth=0.8))
    x, y = centre
    # A label on white, as actions may lie below it.
    label = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    inner = y - np.sign(y) * (NEAR + 0.12 * limit)
    axes.text(x, inner, text, ha="center", va="center", fontsize=9, color=GREY, bbox=label)


def _style(axes: "Axes", title: str, limit: float) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    ticks = (-2, -1, 0, 1, 2) if limit > 2 else (-0.8, 0, 0.8)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=8, colors=GREY)
    axes.grid(color="0.93", linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color("0.8")
