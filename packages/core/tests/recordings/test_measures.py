import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from offlow_core.data.recordings import measures
from offlow_core.data.recordings.measures import earlier_equal_rows, ranges, step_sizes


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks also for a handful of rows."""
    monkeypatch.setattr(measures, "_BLOCK_BYTES", 20)


def test_ranges_by_hand():
    found = ranges(np.array([[1, 5], [3, 5], [5, 5]], np.float32))
    assert found.low.tolist() == [1, 5]
    assert found.high.tolist() == [5, 5]
    assert found.mean.tolist() == [3, 5]
    assert found.deviation == pytest.approx([(8 / 3) ** 0.5, 0])
    assert found.constant.tolist() == [1]
    assert (found.bad_rows, found.first_bad_row) == (0, None)


def test_rows_that_are_not_finite_are_counted_and_left_out():
    found = ranges(np.array([[1], [np.nan], [3], [np.inf], [-np.inf]]))
    assert (found.bad_rows, found.first_bad_row) == (3, 1)
    assert (found.low.item(), found.high.item(), found.mean.item()) == (1, 3, 2)


def test_ranges_of_nothing_but_nan():
    found = ranges(np.full((3, 2), np.nan))
    assert (found.bad_rows, found.first_bad_row) == (3, 0)
    assert found.constant.size == 0


def test_images_are_one_column():
    images = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    found = ranges(images)
    assert (found.low.tolist(), found.high.tolist(), found.mean.tolist()) == ([0], [23], [11.5])


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 3)), elements=st.floats(-100, 100, width=32))
)
def test_ranges_equal_numpys(values):
    found = ranges(values)
    wide = values.astype(np.float64)
    np.testing.assert_array_equal(found.low, values.min(axis=0))
    np.testing.assert_allclose(found.mean, wide.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.deviation, wide.std(axis=0), atol=1e-6)


def test_the_deviation_of_large_numbers_is_not_lost_in_rounding():
    values = np.array([[1e8], [1e8 + 1]] * 10)
    assert ranges(values).deviation == pytest.approx([0.5])


def test_step_sizes_count_in_standard_deviations():
    states = np.array([[0, 7], [2, 7], [0, 7], [4, 7], [4, 7]], np.float32)  # standard deviations 1.789 and 0
    assert step_sizes(states) == pytest.approx(np.array([2, 2, 4, 0]) / np.array([0, 2, 0, 4, 4]).std())


def test_earlier_equal_rows_by_hand():
    states = np.array([[1, 2], [3, 4], [1, 2], [1, 2], [3, 4]], np.float32)
    actions = np.array([[0], [0], [0], [9], [0]], np.float32)
    repeats, firsts = earlier_equal_rows(states, actions)
    assert repeats.tolist() == [2, 4]
    assert firsts.tolist() == [0, 1]


def test_rows_with_one_hash_are_compared_byte_by_byte(monkeypatch):
    monkeypatch.setattr(measures, "_row_hashes", lambda values: np.zeros(len(values), np.uint64))
    repeats, firsts = earlier_equal_rows(np.array([[1], [2], [1], [2]], np.float32))
    assert repeats.tolist() == [2]  # row 3 has the hash of row 0, which it does not equal
    assert firsts.tolist() == [0]


def test_changed_signs_change_the_hash():
    values = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]], np.float64)
    assert len(set(measures._row_hashes(values).tolist())) == 4


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20))
def test_earlier_equal_rows_equal_a_plain_search(rows):
    first = {}
    expected = [(k, first[row]) for k, row in enumerate(rows) if first.setdefault(row, k) != k]
    values = np.array(rows, np.uint8)
    repeats, firsts = earlier_equal_rows(values[:, :1], values[:, 1:])
    assert list(zip(repeats.tolist(), firsts.tolist(), strict=True)) == expected


def test_numbers_beyond_all_bounds_raise_no_warning():
    assert ranges(np.array([[1e300], [-1e300]])).high.item() == 1e300
    steps = step_sizes(np.array([[0.0], [np.inf], [np.inf], [1.0]]))
    assert not np.isfinite(steps).any()
