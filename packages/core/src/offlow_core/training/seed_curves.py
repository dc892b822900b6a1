"""Learning curves of several methods in one picture, each over its seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offlow_core.suites.score import SUCCESS, ScoreRule
from offlow_core.training.curve_style import COLOURS, finish_score_axis, finish_step_axis, save, style
from offlow_core.training.curves import episodes_text
from offlow_core.training.run_directory import RunDirectory


@dataclass(frozen=True, eq=False)
class SeedCurve:
    """One method: its mean over seeds at each step, with a band around it; all [n]."""

    label: str
    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def plot_runs(
    groups: Mapping[str, Sequence[RunDirectory]],
    path: Path,
    *,
    title: str,
    score: ScoreRule = SUCCESS,
) -> Path:
    """Draw for each named group of runs (the seeds of one method) the mean score and the band from minimum to maximum.

    A point is drawn where every run of the group was evaluated.
    """
    curves, episodes = [], set()
    for label, runs in groups.items():
        steps, values = _common_values(label, runs, score.column)
        scores = score.of(values)
        seeds = f"{label} ({len(runs)} seed{'s' * (len(runs) > 1)})"
        curves.append(SeedCurve(seeds, steps, scores.mean(0), scores.min(0), scores.max(0)))
        episodes.update(episodes_text(run) for run in runs)
    rule = f"mean over seeds, band: minimum to maximum; each point of a seed: {', '.join(sorted(episodes))}"
    return plot_curves(curves, path, title=title, rule=rule, score=score)


def plot_curves(curves: Sequence[SeedCurve], path: Path, *, title: str, rule: str, score: ScoreRule) -> Path:
    """Draw the curves; `rule` says below the title what line and band are. The PNG's path."""
    from matplotlib.figure import Figure

    if not 1 <= len(curves) <= len(COLOURS):
        raise ValueError(f"expected 1 to {len(COLOURS)} groups of runs in one picture, got {len(curves)}")
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for curve, colour in zip(curves, COLOURS, strict=False):
        axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(curve.steps, curve.mean, color=colour, linewidth=1.8, label=curve.label)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    style(axes, rule, score.label)
    finish_score_axis(axes, max(0.0, *(curve.high.max() for curve in curves)), score)
    steps = np.concatenate([np.zeros(1, np.int64), *(curve.steps for curve in curves)])
    finish_step_axis(axes, steps, intervals=6, named=True)
    axes.legend(frameon=False, fontsize=9, loc="best")
    return save(figure, path)


def _common_values(label: str, runs: Sequence[RunDirectory], column: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps [n] at which every run has a value in the column, and the values [runs, n]."""
    tables = [run.read("eval") for run in runs]
    found = [dict(zip(table["step"].tolist(), table.get(column, []), strict=False)) for table in tables]
    common = sorted(set.intersection(*(set(values) for values in found))) if found else []
    if not common:
        raise ValueError(f"the runs of {label!r} share no step with an evaluation's {column!r}")
    return np.array(common), np.array([[values[step] for step in common] for values in found])
