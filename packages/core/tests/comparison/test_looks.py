"""Every method has a look of its own, the same in pictures and on the page."""

from offlow_core.comparison.looks import LINES, looks
from offlow_core.training.curve_style import COLOURS


def test_looks_differ_as_long_as_there_are_any():
    count = len(COLOURS) * len(LINES)
    found = looks([f"m{i}" for i in range(count + 1)])
    assert len({(look.colour, look.dash) for look in found.values()}) == count
    assert len({(look.colour, str(look.line)) for look in found.values()}) == count
    assert found[f"m{count}"] == found["m0"]
    assert found["m0"].drawn == {"color": COLOURS[0], "linestyle": "-"}
