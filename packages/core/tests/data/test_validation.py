from dataclasses import replace

import numpy as np
import pytest

from offlow_core.data.transitions import Transitions
from offlow_core.data.validation import DatasetError, require_finite, validate


@pytest.fixture
def good() -> Transitions:
    flags = np.zeros(3, np.float32)
    states = np.arange(8, dtype=np.float32).reshape(4, 2)
    rows = np.arange(3, dtype=np.int32)
    return Transitions(states, rows, rows + 1, np.zeros((3, 1), np.float32), flags, flags, flags)


def spoiled(values: np.ndarray, index, value) -> np.ndarray:
    copy = values.copy()
    copy[index] = value
    return copy


def test_good_transitions_pass(good):
    validate(good, "file.npz")
    validate(replace(good, observations=np.zeros((4, 8, 8, 3), np.uint8)), "file.npz")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("field", "index", "row"), [("observations", (3, 1), 3), ("actions", 2, 2), ("rewards", 1, 1)])
def test_values_that_are_not_finite_are_named_with_their_row(good, field, index, row, value):
    bad = replace(good, **{field: spoiled(getattr(good, field), index, value)})
    with pytest.raises(DatasetError, match=f"^file.npz: `{field}` must hold finite numbers, but row {row} holds"):
        validate(bad, "file.npz")


def test_a_bad_value_is_found_beyond_the_first_block():
    values = spoiled(np.zeros(200_000, np.float32), 150_001, np.nan)
    with pytest.raises(DatasetError, match="row 150001 holds nan"):
        require_finite(values, "rewards", "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": np.zeros((3, 1), np.float32)}, r"`rewards` must have shape \(3,\).*got \(3, 1\)"),
        ({"actions": np.zeros(3, np.float32)}, r"`actions` must have shape \(3, any\), got \(3,\)"),
        ({"masks": np.zeros(2, np.float32)}, r"`masks` must have shape \(3,\).*got \(2,\)"),
        ({"terminals": np.zeros(3)}, "`terminals` must be float32, got float64"),
        ({"observations": np.zeros((4, 2))}, r"`observations` must be float32 \(states\) or uint8"),
        ({"observations": np.zeros((4, 2), np.uint8)}, "`observations` must have shape .*images"),
        ({"rows": np.zeros(3, np.float32)}, "`rows` must hold integers, got float32"),
        ({"rows": np.array([0, -1, 1], np.int32)}, "`rows` must point to one of the 4 .* transition 1 points to -1"),
        ({"next_rows": np.array([1, 2, 4], np.int32)}, "`next_rows` .* transition 2 points to 4"),
    ],
)
def test_what_does_not_fit_is_refused(good, change, message):
    with pytest.raises(DatasetError, match=message):
        validate(replace(good, **change), "file.npz")


def test_empty_data_are_refused(good):
    empty = Transitions(
        good.observations, *(getattr(good, f)[:0] for f in Transitions.__dataclass_fields__ if f != "observations")
    )
    with pytest.raises(DatasetError, match="holds no transition"):
        validate(empty, "file.npz")
