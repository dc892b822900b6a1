"""The pictures of a report."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from offlow_core.comparison.aggregates import Aggregates
from offlow_core.comparison.curves import MethodCurve, time_unit
from offlow_core.comparison.looks import Look, looks
from offlow_core.comparison.report import Report
from offlow_core.comparison.statistics import STATISTICS
from offlow_core.comparison.tables import safe
from offlow_core.training.curve_style import GREY, finish_step_axis, save, style
from offlow_core.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
LETTERS_PER_INCH = 14
TITLE_LETTERS_PER_INCH = 10
LEGEND_LETTERS_PER_INCH = 12  # with the line before a name
INCHES_PER_LINE = 0.15
WRAPPED = 36
MARKED = 0.1
"""From marker to marker of a profile, as a share of the panel's diagonal."""


def draw(report: Report, folder: Path) -> list[Path]:
    """Write every picture as a PNG; their paths."""
    return [save(figure, folder / f"{safe(name)}.png") for name, figure in pictures(report)]


def pictures(report: Report) -> "Iterator[tuple[str, Figure]]":
    """Each with its name: curves of a suite over steps and, where its runs tell it, over time of training.

    Then statistics and profiles of the suites that have something to aggregate.
    """
    methods = looks(list(report.comparison.methods))
    for suite, tasks in report.comparison.suites.items():
        curves = [curve for curve in report.curves if curve.task in tasks]
        if curves:
            yield f"{suite}-curves", _curves(report, suite, curves, "steps", methods)
        timed = [curve for curve in curves if np.isfinite(curve.seconds).all()]
        if timed:
            yield f"{suite}-wall-clock", _curves(report, suite, timed, "seconds", methods)
    for item in (item for item in report.aggregates if item.statistics):
        yield f"{item.scores.suite}-aggregates", _intervals(item, report.rule, methods)
        yield f"{item.scores.suite}-profiles", _profiles(item, report.rule, methods)


def _curves(
    report: Report, suite: str, curves: Sequence[MethodCurve], over: str, methods: Mapping[str, Look]
) -> "Figure":
    tasks = list(dict.fromkeys(curve.task for curve in curves))
    figure, panels = _grid(len(tasks))
    for axes, task in zip(panels, tasks, strict=True):
        drawn = [curve for curve in curves if curve.task == task]
        size, unit = (1.0, "") if over == "steps" else time_unit(drawn)
        positions = [getattr(curve, over) / size for curve in drawn]
        for curve, x in zip(drawn, positions, strict=True):
            _line(axes, curve.method, methods[curve.method], x, (curve.low, curve.mean, curve.high))
        style(axes, task, report.comparison.score_name(task))
        _finish_x_axis(axes, np.concatenate(positions), f"{unit} of training" if unit else "steps")
    total = sum(curve.task in report.comparison.suites[suite] for curve in report.curves)
    missing = f"; {counted(total - len(curves), 'curve')} without times left out" if len(curves) < total else ""
    _title(figure, f"{suite}: mean over seeds, band: 95% bootstrap interval{missing}")
    _legend(figure, panels, methods)
    return figure


def _intervals(item: Aggregates, rule: str, methods: Mapping[str, Look]) -> "Figure":
    from matplotlib.figure import Figure

    names = [name for name in methods if name in item.statistics][::-1]
    labels = [fill(name, WRAPPED) for name in names]
    heights = np.array([label.count("\n") + 2.5 for label in labels])
    rows = heights.cumsum() - heights / 2
    size = (3 * len(STATISTICS) + 1.5, 1.2 + INCHES_PER_LINE * heights.sum())
    figure = Figure(figsize=size, layout="constrained")
    for i, statistic in enumerate(STATISTICS):
        axes = figure.add_subplot(1, len(STATISTICS), i + 1)
        for row, name in zip(rows, names, strict=True):
            found, colour = item.statistics[name][statistic], methods[name].colour
            axes.barh(row, 100 * (found.high - found.low), left=100 * found.low, color=colour, alpha=0.45, height=1.3)
            axes.plot([100 * found.value] * 2, [row - 0.65, row + 0.65], color=colour, linewidth=2)
        axes.use_sticky_edges = False
        axes.margins(x=0.08)
        style(axes, statistic, "")
        axes.set_yticks(rows, labels if i == 0 else [""] * len(names), parse_math=False)
        axes.set_ylim(0, heights.sum())
    tasks = counted(len(item.scores.tasks), "task")
    _title(figure, f"{item.scores.suite}, {tasks}: 95% intervals")
    note = f"points, scores by the rule “{rule}”; of the optimality gap, less is better"
    figure.supxlabel(note, fontsize=8, color=GREY, parse_math=False)
    return figure


def _profiles(item: Aggregates, rule: str, methods: Mapping[str, Look]) -> "Figure":
    figure, (axes,) = _grid(1)
    for name, profile in item.profiles.items():
        bounds = (profile.low, profile.value, profile.high)
        _line(axes, name, methods[name], 100 * item.thresholds, bounds, markevery=MARKED)
    style(axes, "performance profile", "share of runs with a score above it")
    label = _wrapped(f"score in points, by the rule “{rule}”", figure, LETTERS_PER_INCH)
    axes.set_xlabel(label, fontsize=8, color=GREY, parse_math=False)
    tasks = counted(len(item.scores.tasks), "task")
    _title(figure, f"{item.scores.suite}: all runs of {tasks}, band: 95% bootstrap interval")
    _legend(figure, [axes], methods)
    return figure


def _line(
    axes: "Axes", name: str, look: Look, x: np.ndarray, bounds: Sequence[np.ndarray], markevery: float | None = None
) -> None:
    """A line in its band; a line of one point, which would not be seen, is a dot."""
    low, middle, high = bounds
    drawn = look.drawn
    if len(x) == 1:
        drawn["marker"] = look.marker or "o"
    axes.fill_between(x, low, high, color=look.colour, alpha=0.15, linewidth=0)
    # Markers at the edge are shown whole.
    axes.plot(x, middle, linewidth=1.6, label=name, markevery=markevery, clip_on=False, **drawn)


def _finish_x_axis(axes: "Axes", values: np.ndarray, name: str) -> None:
    """To the last value of all curves, from the first; time, and what has one value only, from 0."""
    if name != "steps" or values.min() == values.max():
        values = np.append(values, 0)
    finish_step_axis(axes, values, intervals=4, named=False)
    axes.set_xlabel(name, fontsize=8, color=GREY)


def _grid(count: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(max(4.6 * columns, 6.4), 3.3 * rows + 0.5), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def _title(figure: "Figure", text: str) -> None:
    text = _wrapped(text, figure, TITLE_LETTERS_PER_INCH)
    figure.suptitle(text, x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False)


def _legend(figure: "Figure", panels: "Sequence[Axes]", methods: Mapping[str, Look]) -> None:
    """All lines below the panels, in as many columns as there is room for; the figure grows by what they take."""
    lines = {line.get_label(): line for axes in panels for line in axes.lines}
    names = [name for name in methods if name in lines]
    labels = [_wrapped(name, figure, LEGEND_LETTERS_PER_INCH) for name in names]
    place = {"loc": "outside lower center", "frameon": False, "fontsize": 8}
    shortest = min(map(len, names)) + 8  # with the line before it and the gap behind it
    most = max(1, int(figure.get_figwidth() * LETTERS_PER_INCH / shortest))
    for columns in range(min(len(names), most), 0, -1):
        legend = figure.legend([lines[name] for name in names], labels, ncols=columns, **place)
        for text in legend.get_texts():
            text.set_parse_math(False)
        space = legend.get_window_extent()
        if space.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(
        max(figure.get_figwidth(), space.width / figure.dpi), figure.get_figheight() + space.height / figure.dpi
    )


def _wrapped(text: str, figure: "Figure", letters_per_inch: int) -> str:
    return fill(text, int(letters_per_inch * figure.get_figwidth()))
