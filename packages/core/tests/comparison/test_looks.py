"""Every method has a look of its own, the same in pictures and on the page."""

from offlow_core.comparison.looks import DASHES, MARKERS, looks
from offlow_core.training.curve_style import COLOURS


def test_looks_differ_as_long_as_there_are_any():
    count = len(COLOURS) * len(DASHES) * len(MARKERS)
    assert count >= 80
    found = looks([f"m{i}" for i in range(count + 1)])
    assert len({(look.colour, look.dash, look.symbol) for look in found.values()}) == count
    assert len({str(look.drawn) for look in found.values()}) == count
    assert found[f"m{count}"] == found["m0"]


def test_colours_come_first_then_lines_then_markers():
    found = list(looks([f"m{i}" for i in range(len(COLOURS) * len(DASHES) + 1)]).values())
    plain = {"color": COLOURS[0], "linestyle": "-", "marker": "", "markersize": 4}
    assert found[0].drawn == plain
    assert (found[0].dash, found[0].symbol) == ("solid", "circle")
    assert found[len(COLOURS)].drawn == plain | {"linestyle": (0, (5, 2))}
    assert found[len(COLOURS)].dash == "10px,4px"
    assert found[-1].drawn == plain | {"marker": "s"}
    assert (found[-1].dash, found[-1].symbol) == ("solid", "square")
