"""Saved states by their names, and what does not fit."""

import numpy as np
import pytest

from offlow_core.training.saved_arrays import AGENT, STAGE, StateMismatchError, check_arrays, part_of

EXPECTED = {"actor/kernel": (np.dtype(np.float32), (2, 3)), "count": (np.dtype(np.int64), ())}


def make_arrays() -> dict[str, np.ndarray]:
    return {"actor/kernel": np.zeros((2, 3), np.float32), "count": np.asarray(3)}


def test_a_part_is_named_by_the_rest():
    arrays = {AGENT + "x": np.ones(1), STAGE + "x": np.zeros(1), STAGE + AGENT + "y": np.ones(2)}
    assert part_of(arrays, AGENT) == {"x": arrays["agent/x"]}
    assert list(part_of(arrays, STAGE)) == ["x", "agent/y"]
    assert part_of(arrays, "other/") == {}


def test_what_fits_is_accepted():
    check_arrays(make_arrays(), EXPECTED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actor/kernel": None}, r"missing \['actor/kernel'\], unknown \[\]"),
        ({"extra": np.zeros(2)}, r"missing \[\], unknown \['extra'\]"),
        ({"count": None, "counts": np.asarray(3)}, r"missing \['count'\], unknown \['counts'\]"),
        ({"actor/kernel": np.zeros((3, 2), np.float32)}, r"actor/kernel is float32\[3, 2\], expected float32\[2, 3\]"),
        ({"actor/kernel": np.zeros((2, 3))}, r"actor/kernel is float64\[2, 3\], expected float32\[2, 3\]"),
        ({"count": np.asarray([3])}, r"count is int64\[1\], expected int64\[\]"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, message):
    arrays = {name: array for name, array in (make_arrays() | change).items() if array is not None}
    with pytest.raises(StateMismatchError, match=f"the saved state does not fit this agent: {message}"):
        check_arrays(arrays, EXPECTED)


def test_a_long_list_of_names_is_cut():
    unknown = {str(i): np.zeros(1) for i in range(9)}
    with pytest.raises(StateMismatchError, match=r"missing \[\], unknown \['0', '1', '2', '3', '4'\]$"):
        check_arrays(make_arrays() | unknown, EXPECTED)
