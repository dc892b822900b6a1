"""The pictures of a report."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from offlow_core.commands.compared_runs import ComparedRuns, compared
from offlow_core.comparison.curves import MethodCurve, time_unit
from offlow_core.comparison.figures import pictures
from offlow_core.comparison.report import Report

ONE, TWO = (f"cube-single-play-singletask-task{n}-v0" for n in (1, 2))
MANY = 30
HOURS = (3600, "hours")


@pytest.fixture
def drawn(tmp_path):
    """The pictures of all runs of the test, by name, laid out as they are saved; and the report."""

    def draw(*sources: str, rule: str = "last") -> tuple[dict[str, Figure], Report]:
        options = ComparedRuns(runs=sources or (str(tmp_path / "runs"),), rule=rule, last_k=2, resamples=50)
        report = compared(options, "Comparison")
        found = dict(pictures(report))
        for figure in found.values():
            figure.draw_without_rendering()
        return found, report

    return draw


def panels(figure: Figure) -> dict[str, list]:
    """Lines by the title of their panel."""
    return {axes.get_title(loc="left"): axes.lines for axes in figure.axes}


def test_nothing_is_cut_and_no_two_methods_look_alike(make_run, drawn):
    for i in range(MANY):
        options = {"hidden_dims": [i] * 12, "WIDE_OPTION": "WMWMWMWMWM" * (i % 6), "number": i}
        make_run("fac", ONE, 0, (0.0, 40 + i, 60 + i), agent_options=options)
    found, report = drawn()
    assert max(map(len, report.comparison.methods)) > 120
    assert set(found) == {f"ogbench-{name}" for name in ("curves", "wall-clock", "aggregates", "profiles")}
    for name, figure in found.items():
        used, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert used.x0 >= -0.01, name
        assert used.y0 >= -0.01, name
        assert used.x1 <= width + 0.01, name
        assert used.y1 <= height + 0.01, name
    (legend,) = found["ogbench-curves"].legends
    assert ["".join(text.get_text().split()) for text in legend.get_texts()] == [
        "".join(name.split()) for name in report.comparison.methods
    ]
    looks = {(line.get_color(), str(line._unscaled_dash_pattern), line.get_marker()) for line in legend.get_lines()}
    assert len(looks) == MANY


def test_short_names_share_rows_below_the_panels(make_run, drawn):
    for agent in ("fac", "fql", "dac"):
        make_run(agent)
    found, _ = drawn()
    tops = {round(text.get_window_extent().y1) for text in found["ogbench-curves"].legends[0].get_texts()}
    assert len(tops) == 1


def test_the_rule_of_the_scores_and_their_unit_are_named(make_run, drawn):
    make_run()
    found, _ = drawn(rule="mean")
    assert "points, scores by the rule “mean of last 2”" in found["ogbench-aggregates"].get_supxlabel()
    assert "points, by the rule “mean of last 2”" in found["ogbench-profiles"].axes[0].get_xlabel()


def test_curves_over_time(make_run, drawn):
    make_run("fac", ONE, 0, (0.0, 40.0, 60.0), rate=0.02)  # 300 steps in 15,000 seconds
    make_run("fql", ONE, 0, (0.0, 40.0, 60.0), rate=None)
    make_run("fac", TWO, 0, (0.0, 40.0, 60.0))
    found, _ = drawn()
    figure = found["ogbench-wall-clock"]
    shown = {task: {line.get_label(): line.get_xdata() for line in lines} for task, lines in panels(figure).items()}
    assert shown[ONE].keys() == shown[TWO].keys() == {"fac"}
    np.testing.assert_allclose(shown[ONE]["fac"] * 3600, [5_000, 10_000, 15_000])
    np.testing.assert_allclose(shown[TWO]["fac"], [2, 4, 6])
    assert [axes.get_xlabel() for axes in figure.axes] == ["hours of training", "seconds of training"]
    assert [axes.get_xlim()[0] for axes in figure.axes] == [0, 0]
    assert "; 1 curve without times left out" in " ".join(figure.get_suptitle().split())
    assert [len(lines) for lines in panels(found["ogbench-curves"]).values()] == [2, 1]


def test_without_times_there_are_no_curves_over_time(make_run, drawn):
    make_run(rate=None)
    found, _ = drawn()
    assert set(found) == {"ogbench-curves", "ogbench-aggregates", "ogbench-profiles"}


def test_a_single_evaluation_is_a_dot(make_run, drawn):
    make_run("fac", ONE, 0, (40.0,))
    found, _ = drawn()
    for name in ("ogbench-curves", "ogbench-wall-clock"):
        (axes,) = found[name].axes
        assert axes.lines[0].get_marker() == "o"
        assert axes.get_xlim()[0] == 0


def test_names_are_drawn_as_they_are(make_run, tmp_path, drawn):
    make_run(task=r"own/$\frac$")
    found, _ = drawn(f"_$x$={tmp_path / 'runs'}")
    assert found["ogbench-curves"].axes[0].get_title(loc="left") == r"own/$\frac$"
    (text,) = found["ogbench-curves"].legends[0].get_texts()
    label = found["ogbench-aggregates"].axes[0].get_yticklabels()[0]
    assert text.get_text() == label.get_text() == "_$x$"
    assert not text.get_parse_math()
    assert not label.get_parse_math()


@pytest.mark.parametrize(
    ("longest", "unit"),
    [(0.5, (1, "seconds")), (119, (1, "seconds")), (120, (60, "minutes")), (7_199, (60, "minutes")), (7_200, HOURS)],
)
def test_times_are_in_a_unit_that_is_read_easily(longest, unit):
    curves = [_curve(0.1), _curve(longest)]
    assert time_unit(curves) == unit
    assert time_unit([]) == (1, "seconds")


def _curve(seconds: float) -> MethodCurve:
    one = np.ones(1)
    return MethodCurve("fac", ONE, 1, one, seconds * one, one, one, one)
