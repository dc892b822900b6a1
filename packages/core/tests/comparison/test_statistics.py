"""Aggregate statistics against numbers by hand, and intervals against all resamples there are."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offlow_core.comparison.statistics import (
    STATISTICS,
    StatisticsError,
    estimate,
    interquartile_mean,
    mean_interval,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
)

SCORES = np.array([[0.0, 1.0, 0.5], [0.4, 1.4, 0.3]])  # two seeds, three tasks


def test_statistics_by_hand():
    # Means over seeds: 0.2, 1.2, 0.4. Sorted: 0, .3, .4, .5, 1, 1.4; floor(6 / 4) = 1 is cut at each end.
    found = {name: float(statistic(SCORES)) for name, statistic in STATISTICS.items()}
    expected = {"IQM": 2.2 / 4, "mean": 0.6, "median": 0.4, "optimality gap": 1 - 3.2 / 6}
    assert found == {name: pytest.approx(value) for name, value in expected.items()}


def test_a_statistic_of_many_resamples_is_that_of_each():
    many = np.random.default_rng(0).random((5, 8, 3))
    for statistic in STATISTICS.values():
        np.testing.assert_allclose(statistic(many), [statistic(one) for one in many])


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=list(STATISTICS))
def test_intervals_are_those_of_all_resamples(statistic):
    """Two seeds and two tasks have 16 equally likely resamples."""
    scores = np.array([[0.1, 0.9], [0.5, 0.2]])
    draws = product(range(2), repeat=4)
    all_values = [
        statistic(np.array([[scores[a, 0], scores[b, 1]], [scores[c, 0], scores[d, 1]]])) for a, b, c, d in draws
    ]
    found = estimate(scores, statistic, seed=0, resamples=40_000, level=0.5)
    low, high = np.quantile(np.repeat(all_values, 2_500), [0.25, 0.75])
    assert found.value == statistic(scores)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_seeds_of_one_task_are_drawn_apart_from_those_of_another():
    """Were whole rows drawn, the mean of these scores would be 0.5 in every resample."""
    scores = np.array([[0.0, 1.0], [1.0, 0.0]])
    found = estimate(scores, STATISTICS["mean"], seed=0)
    assert (found.low, found.high) == (0.0, 1.0)


def test_equal_seeds_give_equal_intervals():
    scores, statistic = np.random.default_rng(0).random((5, 4)), STATISTICS["mean"]
    assert estimate(scores, statistic, seed=3) == estimate(scores, statistic, seed=3)
    assert estimate(scores, statistic, seed=3) != estimate(scores, statistic, seed=4)


def test_probability_of_improvement_by_hand():
    x, y = np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[2.0, 0.0], [3.0, 1.0], [0.0, 2.0]])
    # Task 1: of six pairs 1 > 0, 3 > 2, 3 > 0 and half of 3 = 3; task 2: half of 0 = 0, twice.
    found = probability_of_improvement(x, y, seed=0)
    assert found.value == pytest.approx((3.5 / 6 + 1 / 6) / 2)
    assert found.low <= found.value <= found.high
    other = probability_of_improvement(y, x, seed=0)
    assert other.value == pytest.approx(1 - found.value)


def test_probability_of_improvement_is_resampled_on_both_sides():
    x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])
    found = probability_of_improvement(x, y, seed=0, resamples=20_000, level=0.5)
    # Means of two of 0 and 1 on both sides: P(x > y) + P(x = y) / 2 has these values in 16 resamples.
    values = []
    for a, b, c, d in product((0.0, 1.0), repeat=4):
        pairs = [(p > q) + 0.5 * (p == q) for p in (a, b) for q in (c, d)]
        values.append(np.mean(pairs))
    low, high = np.quantile(np.repeat(values, 1000), [0.25, 0.75])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_profile_by_hand():
    value, low, high = performance_profile(SCORES, np.array([-1.0, 0.4, 1.0, 2.0]), seed=0)
    np.testing.assert_allclose(value, [1, 3 / 6, 1 / 6, 0])
    assert (low <= value).all()
    assert (value <= high).all()
    assert (np.diff(high) <= 0).all()


@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-2, 3)))
def test_statistics_lie_between_the_extremes(scores):
    for statistic in (interquartile_mean, median, STATISTICS["mean"]):
        assert scores.min() - 1e-9 <= statistic(scores) <= scores.max() + 1e-9
    assert optimality_gap(scores) >= -1e-9
    assert probability_of_improvement(scores, scores, seed=0, resamples=3).value == pytest.approx(0.5)


@pytest.mark.parametrize("scores", [np.zeros(3), np.zeros((0, 2)), np.array([[np.nan]])])
def test_what_is_no_table_of_scores_is_refused(scores):
    with pytest.raises(StatisticsError, match="scores must be"):
        estimate(scores, median, seed=0)


def test_methods_are_compared_on_the_same_tasks():
    with pytest.raises(StatisticsError, match="the same tasks, got 3 and 2"):
        probability_of_improvement(SCORES, SCORES[:, :2], seed=0)


def test_interval_of_a_mean_over_seeds_draws_whole_seeds():
    values = np.array([[0.0, 10.0, 1.0], [1.0, 20.0, 1.0], [2.0, 60.0, 1.0]])
    low, high = mean_interval(values, seed=0, resamples=4_000, level=0.9)
    means = np.array([values[list(drawn)].mean(0) for drawn in product(range(3), repeat=3)])
    np.testing.assert_allclose(low, np.quantile(means, 0.05, axis=0), atol=1e-12)
    np.testing.assert_allclose(high, np.quantile(means, 0.95, axis=0), atol=1e-12)
    assert low[2] == high[2] == 1
