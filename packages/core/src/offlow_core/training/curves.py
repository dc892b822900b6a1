"""The learning curve of one run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from offlow_core.suites.score import SUCCESS, ScoreRule
from offlow_core.training.curve_style import COLOURS, GREY, finish_score_axis, finish_step_axis, save, style
from offlow_core.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS_COLUMNS = 3
MAX_LOSSES = 6
VALIDATION = "validation/"
TRAINING_RETURN = "online/episode_return_mean20"
SMOOTH_FROM_POINTS = 100
LAST_LABEL: dict[str, Any] = {
    "xytext": (6, 0),
    "textcoords": "offset points",
    "va": "center",
    "color": COLOURS[0],
    "fontsize": 9,
    "annotation_clip": False,
}


def plot_run(
    run: RunDirectory,
    *,
    score: ScoreRule = SUCCESS,
    phases: Mapping[str, int] | None = None,
    losses: Sequence[str] | None = None,
    path: Path | None = None,
) -> Path | None:
    """Draw the evaluation score of one run over its updates, and its losses below; the PNG's path.

    None where there is nothing to draw. Where a run trained in an environment, the returns of its training episodes are
    drawn before the losses.

    `score` reads a column of `eval.csv`; where `episodes.csv` has it too, its standard error is drawn. `phases` maps
    the name of each phase to the step before it (steps of preparing phases are negative); `losses` are columns of
    `train.csv`, by default the first six with "loss" in their name; each is drawn together with its twin on held-out
    data, `validation/<name>`, if there is one.
    """
    evaluations, train = run.read("eval"), run.read("train")
    names = _loss_names(train) if losses is None else list(losses)
    has_score = score.column in evaluations
    if not has_score and not names:
        return None
    figure, panels = _panels(has_score, len(names))
    task, algorithm, _ = run.path.resolve().parts[-3:]
    figure.suptitle(f"{algorithm} on {task}, run {run.path.name}", x=0.01, ha="left", fontsize=11, weight="bold")
    logged = np.concatenate([evaluations["step"], train["step"], [0, *(phases or {}).values()]])
    if has_score:
        _draw_score(panels[0], run, evaluations, score)
    for panel, name in zip(panels[has_score:], names, strict=True):
        _draw_loss(panel, train, name)
    for index, panel in enumerate(panels):
        is_score, is_lowest = has_score and index == 0, index + LOSS_COLUMNS >= len(panels)
        finish_step_axis(panel, logged, intervals=6 if is_score else 3, named=is_score or is_lowest)
        _mark_phases(panel, phases or {}, start=logged.min(), named=index == 0)
    return save(figure, path or run.path / "learning_curve.png")


def _panels(has_score: bool, losses: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    rows = -(-losses // LOSS_COLUMNS)
    heights = [3.2] * has_score + [1.8] * rows
    figure = Figure(figsize=(9.0, 0.6 + sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), LOSS_COLUMNS, height_ratios=heights)
    panels = [figure.add_subplot(grid[0, :])] if has_score else []
    places = [divmod(index, LOSS_COLUMNS) for index in range(losses)]
    return figure, panels + [figure.add_subplot(grid[has_score + row, column]) for row, column in places]


def _draw_score(axes: "Axes", run: RunDirectory, evaluations: Mapping[str, np.ndarray], score: ScoreRule) -> None:
    known = np.isfinite(evaluations[score.column])
    steps, values = evaluations["step"][known], score.of(evaluations[score.column][known])
    axes.plot(steps, values, color=COLOURS[0], linewidth=1.8, marker="o", markersize=3.5, clip_on=False)
    if len(values):
        axes.annotate(f"last: {values[-1]:.4g}", (steps[-1], values[-1]), **LAST_LABEL)
    rule, top = f"each point: {episodes_text(run)}", values.max(initial=0.0)
    error = _standard_error(run, steps, score.column)
    if error is not None:
        low, high = values - score.slope * error, values + score.slope * error
        axes.fill_between(steps, low, high, color=COLOURS[0], alpha=0.18, linewidth=0)
        rule, top = f"{rule}; band: one standard error", high.max(initial=0.0)
    style(axes, rule, score.label)
    finish_score_axis(axes, top, score)


def _draw_loss(axes: "Axes", train: Mapping[str, np.ndarray], name: str) -> None:
    values = _draw_values(axes, train["step"], train[name], COLOURS[6])
    if VALIDATION + name in train:
        held_out = _draw_values(axes, train["step"], train[VALIDATION + name], COLOURS[1])
        axes.text(1, 1, "validation", transform=axes.transAxes, ha="right", va="top", fontsize=8, color=COLOURS[1])
        values = np.concatenate([values, held_out])
    # Less than a decade has too few ticks on a logarithmic axis.
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        _make_logarithmic(axes, decades=np.log10(values.max() / values.min()))
    style(axes, name, "")


def _draw_values(axes: "Axes", steps: np.ndarray, values: np.ndarray, colour: str) -> np.ndarray:
    """Draw the known values, pale under their moving mean if they are many, and return them."""
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    many = len(values) >= SMOOTH_FROM_POINTS
    axes.plot(steps, values, color=colour, linewidth=0.7 if many else 1.2, alpha=0.35 if many else 1)
    if many:
        window = len(values) // 50 * 2 + 1
        mean = np.convolve(values, np.ones(window) / window, mode="valid")
        axes.plot(steps[window // 2 : len(steps) - window // 2], mean, color=colour, linewidth=1.3)
    return values


def _make_logarithmic(axes: "Axes", decades: float) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1,) if decades > 2 else (1, 3), numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _loss_names(train: Mapping[str, np.ndarray]) -> list[str]:
    known = [name for name, values in train.items() if "loss" in name and np.isfinite(values).any()]
    returns = [TRAINING_RETURN] if np.isfinite(train.get(TRAINING_RETURN, [])).any() else []
    return returns + [name for name in known if not name.startswith(VALIDATION)][: MAX_LOSSES - len(returns)]


def _standard_error(run: RunDirectory, steps: np.ndarray, column: str) -> np.ndarray | None:
    """Standard error [n] of the mean over the episodes at each step (0 for a single one); None without episodes."""
    episodes = run.read("episodes")
    if column not in episodes:
        return None
    samples = [episodes[column][episodes["step"] == step] for step in steps]
    return np.array([np.std(s, ddof=1) / np.sqrt(len(s)) if len(s) > 1 else 0.0 for s in samples])


def _mark_phases(axes: "Axes", phases: Mapping[str, int], *, start: int, named: bool) -> None:
    for name, first_step in phases.items():
        if first_step > start:
            axes.axvline(first_step, color="0.6", linewidth=0.9, linestyle=(0, (4, 3)))
        if named:
            axes.annotate(
                name,
                (first_step, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -3),
                textcoords="offset points",
                va="top",
                fontsize=8,
                color=GREY,
            )


def episodes_text(run: RunDirectory) -> str:
    """What a point of the curve is a mean of."""
    _, counts = np.unique(run.read("episodes")["step"], return_counts=True)
    if not len(counts):
        return "one evaluation"
    fewest, most = counts.min(), counts.max()
    return f"mean of {fewest if fewest == most else f'{fewest} to {most}'} episodes"
