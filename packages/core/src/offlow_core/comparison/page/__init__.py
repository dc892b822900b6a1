"""A report as one HTML page that needs no other file and no network."""

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np

from offlow_core.comparison.looks import looks
from offlow_core.comparison.report import Report

CURVE = ("steps", "seconds", "mean", "low", "high")


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
    return {
        "methods": [{"name": name, "colour": look.colour, "dash": look.dash} for name, look in styles.items()],
        "tasks": [
            {
                "name": task,
                "suite": suite,
                "score": report.comparison.score_name(task),
                "curves": [
                    {
                        "method": curve.method,
                        "seeds": curve.seeds,
                        **{name: _numbers(getattr(curve, name)) for name in CURVE},
                    }
                    for curve in report.curves
                    if curve.task == task
                ],
            }
            for suite, tasks in report.comparison.suites.items()
            for task in tasks
        ],
        "suites": [
            {
                "name": item.scores.suite,
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
            for item in report.aggregates
            if item.statistics
        ],
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN."""
    return [None if not math.isfinite(value) else round(float(value), 6) for value in values]


def _script_text(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")
