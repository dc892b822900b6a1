"""The pictures of a report."""

import math
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from offlow_core.comparison.aggregates import Aggregates
from offlow_core.comparison.curves import MethodCurve
from offlow_core.comparison.looks import Look, looks
from offlow_core.comparison.report import Report
from offlow_core.comparison.statistics import STATISTICS
from offlow_core.training.curve_style import finish_step_axis, save, style
from offlow_core.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
LETTERS_PER_INCH = 14
INCHES_PER_LINE = 0.19
WRAPPED = 36


def draw(report: Report, folder: Path) -> list[Path]:
    """One picture of curves per suite, and of statistics and profiles where a suite has any; their paths."""
    methods = looks(list(report.comparison.methods))
    made = []
    for suite, tasks in report.comparison.suites.items():
        curves = [curve for curve in report.curves if curve.task in tasks]
        if curves:
            made.append(_curves(report, suite, curves, methods, folder / f"{suite}-curves.png"))
    for item in (item for item in report.aggregates if item.statistics):
        made.append(_intervals(item, methods, folder / f"{item.scores.suite}-aggregates.png"))
        made.append(_profiles(item, methods, folder / f"{item.scores.suite}-profiles.png"))
    return made


def _curves(report: Report, suite: str, curves: list[MethodCurve], methods: dict[str, Look], path: Path) -> Path:
    tasks = [task for task in report.comparison.suites[suite] if any(curve.task == task for curve in curves)]
    figure, panels = _grid(len(tasks))
    for axes, task in zip(panels, tasks, strict=True):
        drawn = [curve for curve in curves if curve.task == task]
        for curve in drawn:
            look = methods[curve.method]
            axes.fill_between(curve.steps, curve.low, curve.high, color=look.colour, alpha=0.15, linewidth=0)
            axes.plot(curve.steps, curve.mean, linewidth=1.6, label=curve.method, **look.drawn)
        style(axes, task, report.comparison.score_name(task))
        longest = max(drawn, key=lambda curve: curve.steps[-1])
        finish_step_axis(axes, longest.steps, intervals=4, named=True)
    _finish(figure, panels, f"{suite}: mean over seeds, band: 95% bootstrap interval")
    return save(figure, path)


def _intervals(item: Aggregates, methods: dict[str, Look], path: Path) -> Path:
    from matplotlib.figure import Figure

    names = [name for name in methods if name in item.statistics][::-1]
    labels = [fill(name, WRAPPED) for name in names]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(3 * len(STATISTICS) + 1.5, 0.9 + 0.2 * lines + 0.2 * len(names)), layout="constrained")
    for i, statistic in enumerate(STATISTICS):
        axes = figure.add_subplot(1, len(STATISTICS), i + 1)
        for row, name in enumerate(names):
            found, colour = item.statistics[name][statistic], methods[name].colour
            axes.barh(row, 100 * (found.high - found.low), left=100 * found.low, color=colour, alpha=0.45, height=0.6)
            axes.plot([100 * found.value] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2)
        axes.use_sticky_edges = False
        axes.margins(x=0.08)
        style(axes, statistic, "")
        axes.set_yticks(range(len(names)), labels if i == 0 else [""] * len(names))
    tasks = counted(len(item.scores.tasks), "task")
    figure.suptitle(f"{item.scores.suite}, {tasks}: 95% intervals", x=0.01, ha="left", fontsize=11, weight="bold")
    return save(figure, path)


def _profiles(item: Aggregates, methods: dict[str, Look], path: Path) -> Path:
    figure, (axes,) = _grid(1)
    for name, profile in item.profiles.items():
        axes.fill_between(
            100 * item.thresholds, profile.low, profile.high, color=methods[name].colour, alpha=0.15, linewidth=0
        )
        axes.plot(100 * item.thresholds, profile.value, linewidth=1.6, label=name, **methods[name].drawn)
    style(axes, "performance profile", "share of runs with a score above it")
    axes.set_xlabel("score", fontsize=8)
    _finish(figure, [axes], f"{item.scores.suite}: all runs of all tasks")
    return save(figure, path)


def _grid(count: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(max(4.6 * columns, 6.4), 3.3 * rows + 0.5), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def _finish(figure: "Figure", panels: "list[Axes]", title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    by_name = {}
    for axes in panels:
        lines, names = axes.get_legend_handles_labels()
        by_name |= dict(zip(names, lines, strict=True))
    letters = max(map(len, by_name)) + 8  # with the line before a name and the gap behind it
    columns = max(1, int(figure.get_figwidth() * LETTERS_PER_INCH / letters))
    rows = math.ceil(len(by_name) / columns)
    figure.set_figheight(figure.get_figheight() + INCHES_PER_LINE * rows)
    place = {"loc": "outside lower center", "ncols": min(len(by_name), columns), "frameon": False, "fontsize": 8}
    figure.legend(by_name.values(), by_name.keys(), **place)
