"""A report as one HTML page that needs no other file and no network."""

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np

from offlow_core.comparison.aggregates import Aggregates
from offlow_core.comparison.curves import time_unit
from offlow_core.comparison.looks import looks
from offlow_core.comparison.published import published_scores
from offlow_core.comparison.report import Report
from offlow_core.wording import counted


def render(report: Report) -> str:
    """The page; drawing library, style, program and data are all in it."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader(__name__, "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    folder = files(__name__)
    return environment.get_template("page.html.jinja").render(
        report=report,
        data=_script_text(_data(report)),
        library=get_plotlyjs(),
        style=(folder / "page.css").read_text(encoding="utf-8"),
        program=(folder / "page.js").read_text(encoding="utf-8"),
    )


def _data(report: Report) -> dict[str, Any]:
    """What the program of the page draws."""
    styles = looks(list(report.comparison.methods))
    suites = report.comparison.suites
    tasks = {task for names in suites.values() for task in names}
    return {
        "rule": report.rule,
        "methods": [
            {"name": name, "colour": look.colour, "dash": look.dash, "symbol": look.symbol}
            for name, look in styles.items()
        ],
        "tasks": [_task(report, suite, task) for suite, names in suites.items() for task in names],
        "groups": {score.group: score.tasks for score in published_scores() if tasks.intersection(score.tasks)},
        "suites": [_suite(item) for item in report.aggregates if item.statistics],
    }


def _task(report: Report, suite: str, task: str) -> dict[str, Any]:
    curves = [curve for curve in report.curves if curve.task == task]
    size, unit = time_unit([curve for curve in curves if np.isfinite(curve.seconds).all()])
    return {
        "name": task,
        "suite": suite,
        "score": report.comparison.score_name(task),
        "unit": unit,
        "curves": [
            {
                "method": curve.method,
                "seeds": curve.seeds,
                "steps": _numbers(curve.steps),
                "time": _numbers(curve.seconds / size),
                **{name: _numbers(getattr(curve, name)) for name in ("mean", "low", "high")},
            }
            for curve in curves
        ],
    }


def _suite(item: Aggregates) -> dict[str, Any]:
    return {
        "name": item.scores.suite,
        "tasks": counted(len(item.scores.tasks), "task"),
        "statistics": {
            method: {name: [100 * e.value, 100 * e.low, 100 * e.high] for name, e in found.items()}
            for method, found in item.statistics.items()
        },
        "thresholds": _numbers(100 * item.thresholds),
        "profiles": {
            method: {name: _numbers(getattr(profile, name)) for name in ("value", "low", "high")}
            for method, profile in item.profiles.items()
        },
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN."""
    return [None if not math.isfinite(value) else round(float(value), 6) for value in values]


def _script_text(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")
