"""The intrinsic action variance by hand, against plain brute force, and against recorded numbers.

Recorded are `$OFFLOW_GOLDEN/deflow/*.npz` as far as they hold `query_indices`, or those in `golden/deflow` of these
tests: values of an independent float64 implementation of the definition.
"""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.action_variance import (
    VarianceOptions,
    draw_queries,
    estimate_action_variance,
    find_neighbours,
    variances,
)
from offlow_core.data.nearest_states import NearestStates
from offlow_core.data.validation import DatasetError
from offlow_core.option_checks import OptionError
from offlow_core.testing.golden import golden_folder

TESTS = Path(__file__).parent  # the cases are beside it


def is_case(path):
    with np.load(path, allow_pickle=False) as file:
        return "query_indices" in file.files


def cases(folder):
    return [path for path in sorted(folder.glob("deflow/*.npz")) if is_case(path)]


def recorded(paths):
    """(file, standardize, self, ddof) of every recorded number."""
    found = []
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            names = [re.fullmatch(r"expected/iav_standardize([01])_self([01])_ddof([01])", name) for name in file.files]
        found += [(path, *map(int, match.groups())) for match in names if match]
    return found


CASES = cases(golden_folder(str(TESTS)))


def test_there_are_recorded_numbers_and_the_packages_own_are_complete():
    assert CASES, f"no file with `query_indices` in {golden_folder(str(TESTS))}/deflow"
    assert len(recorded(cases(TESTS.parent / "golden"))) == 8


@pytest.mark.parametrize(("path", "standardize", "include_self", "ddof"), recorded(CASES))
def test_recorded_numbers(path, standardize, include_self, ddof):
    with np.load(path, allow_pickle=False) as file:
        case = dict(file)
    options = VarianceOptions(
        k=json.loads(str(case["config"]))["k"],
        standardize=bool(standardize),
        include_self=bool(include_self),
        ddof=ddof,
    )
    ends, queries = np.ones(len(case["actions"])), case["query_indices"]
    estimate = estimate_action_variance(case["observations"], case["actions"], ends, options, queries=queries)
    which = f"standardize{standardize}_self{include_self}_ddof"
    np.testing.assert_allclose(estimate.value, case[f"expected/iav_{which}{ddof}"], rtol=1e-12)
    neighbours = find_neighbours(case["observations"], ends, queries, options, "case")
    np.testing.assert_array_equal(neighbours, case[f"expected/neighbours_{which}0"])
    per_state = variances(case["actions"], neighbours, ddof=0)
    np.testing.assert_allclose(per_state, case[f"expected/per_state_{which}0"], rtol=1e-12)


# Two trajectories, of rows 0-2 and 3-4, in one dimension; of two states at equal distance the earlier one counts.
LINE = np.array([[0], [1], [3], [6], [10]], np.float32)
ENDS = np.array([0, 0, 1, 0, 1])
ACTIONS = np.array([[0.0, 0.5], [0.2, 0.5], [0.4, 0.1], [0.8, 0.5], [0.0, 0.5]], np.float32)


@pytest.mark.parametrize(
    ("changes", "neighbours"),
    [
        ({}, [[1, 2], [0, 2], [1, 0], [2, 4], [3, 2]]),
        ({"include_self": True}, [[0, 1], [1, 0], [2, 1], [3, 2], [4, 3]]),
        ({"exclude_same_trajectory": True}, [[3, 4], [3, 4], [3, 4], [2, 1], [2, 1]]),
        ({"exclude_same_trajectory": True, "include_self": True}, [[0, 3], [1, 3], [2, 3], [3, 2], [4, 2]]),
        ({"k": 3}, [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 4, 1], [3, 2, 1]]),
    ],
)
def test_neighbours_by_hand(changes, neighbours):
    options = replace(VarianceOptions(k=2), **changes)
    assert find_neighbours(LINE, ENDS, np.arange(5), options, "line").tolist() == neighbours


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        # Of two numbers the population variance is (difference / 2)^2. For the five states, first and second number:
        # 0.01, 0.04, 0.01, 0.04, 0.04 and 0.04, 0.04, 0, 0.04, 0.04.
        ({}, (0.14 + 0.16) / 2 / 5),
        ({"ddof": 1}, 2 * (0.14 + 0.16) / 2 / 5),
        # Pairs 3-4 (three times) and 2-1 (twice): 0.16, 0.16, 0.16, 0.01, 0.01 and 0, 0, 0, 0.04, 0.04.
        ({"exclude_same_trajectory": True}, (0.5 + 0.08) / 2 / 5),
    ],
)
def test_variance_by_hand(changes, value):
    estimate = estimate_action_variance(LINE, ACTIONS, ENDS, replace(VarianceOptions(k=2), **changes))
    np.testing.assert_allclose(estimate.value, value, rtol=1e-6)
    assert (estimate.queries, estimate.searched, estimate.k) == (5, 5, 2)


def test_standardised_states_are_compared_in_deviations():
    # Deviations of 1155 and 1.07; the third number, a constant, counts nothing.
    states = np.array([[0, 0, 7], [1000, 0, 7], [0, 3, 7], [3000, 1, 7], [2000, 2, 7], [0, 1.5, 7]])
    raw, standardised = VarianceOptions(k=2), VarianceOptions(k=2, standardize=True)
    assert find_neighbours(states, np.ones(6), np.array([0]), raw, "states").tolist() == [[5, 2]]
    assert find_neighbours(states, np.ones(6), np.array([0]), standardised, "states").tolist() == [[1, 5]]


def test_duplicates_are_neighbours_and_the_state_itself_is_not():
    states = np.zeros((40, 2), np.float32)
    states[30:] += np.arange(1, 11, dtype=np.float32)[:, None]
    for width in (2, 14):
        wide = np.repeat(states, width // 2, axis=1)
        rows = find_neighbours(wide, np.ones(40), np.array([3, 29]), VarianceOptions(k=4), "states")
        assert 3 not in rows[0]
        assert 29 not in rows[1]
        assert (rows < 30).all()
        assert len(set(rows[0])) == len(set(rows[1])) == 4
        with_self = find_neighbours(wide, np.ones(40), np.array([3, 29]), VarianceOptions(k=4, include_self=True), "s")
        assert with_self[:, 0].tolist() == [3, 29]
        assert (with_self < 30).all()


def brute_force(states, ends, queries, k, exclude):
    """Every distance, one query at a time."""
    trajectory = np.concatenate([[0], np.cumsum(np.asarray(ends)[:-1] > 0)])
    found = []
    for row in queries:
        squares = ((states.astype(np.float64) - states[row]) ** 2).sum(axis=1)
        squares[trajectory == trajectory[row] if exclude else row] = np.inf
        found.append(np.argsort(squares, kind="stable")[:k])
    return np.array(found)


def walks(seed, lengths, width):
    """Trajectories that drift far, so that a state's nearest ones are all of its own trajectory."""
    generator = np.random.default_rng(seed)
    starts = 100 * generator.normal(size=(len(lengths), width))
    states = [
        start + generator.normal(size=(n, width)).cumsum(axis=0) for n, start in zip(lengths, starts, strict=True)
    ]
    ends = np.zeros(sum(lengths))
    ends[np.cumsum(lengths) - 1] = 1
    return np.concatenate(states).astype(np.float32), ends


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 30), min_size=2, max_size=8),
    st.sampled_from([1, 3, 11, 12, 20]),
    st.integers(2, 6),
    st.booleans(),
)
def test_neighbours_equal_brute_force(seed, lengths, width, k, exclude):
    lengths = [*lengths, 8]
    states, ends = walks(seed, lengths, width)
    if len(states) - max(lengths) < k:
        states, ends = walks(seed, [*lengths, *lengths, k], width)
    queries = np.arange(0, len(states), 2)
    options = VarianceOptions(k=k, exclude_same_trajectory=exclude)
    found = find_neighbours(states, ends, queries, options, "walks")
    np.testing.assert_array_equal(found, brute_force(states, ends, queries, k, exclude))


@pytest.mark.parametrize("width", [4, 15])
def test_trajectories_far_longer_than_what_is_proposed(width, monkeypatch):
    searched_around = []
    around = NearestStates._around

    def counting(self, queries, start, stop, count):
        searched_around.append((start, stop))
        return around(self, queries, start, stop, count)

    monkeypatch.setattr(NearestStates, "_around", counting)
    states, ends = walks(0, [900, 20, 1200, 2], width)
    queries = np.arange(0, len(states), 7)
    options = VarianceOptions(k=3, exclude_same_trajectory=True)
    found = find_neighbours(states, ends, queries, options, "walks")
    np.testing.assert_array_equal(found, brute_force(states, ends, queries, 3, True))
    assert searched_around == [(0, 900), (920, 2120)]


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 12]), st.booleans(), st.booleans(), st.sampled_from([0, 1]))
def test_the_order_of_states_does_not_matter(seed, width, standardize, include_self, ddof):
    generator = np.random.default_rng(seed)
    states, actions = generator.normal(size=(50, width)), generator.uniform(-1, 1, (50, 3))
    order = generator.permutation(50)
    options = VarianceOptions(k=4, standardize=standardize, include_self=include_self, ddof=ddof)
    one = estimate_action_variance(states, actions, np.ones(50), options)
    other = estimate_action_variance(states[order], actions[order], np.ones(50), options)
    np.testing.assert_allclose(other.value, one.value, rtol=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(-8, 8), st.floats(-1, 1), st.booleans())
def test_scaled_and_shifted_actions(seed, factor, shift, exclude):
    generator = np.random.default_rng(seed)
    states, ends = walks(seed, [9, 9, 9], 3)
    actions = generator.uniform(-1, 1, (27, 2))
    options = VarianceOptions(k=3, exclude_same_trajectory=exclude)
    one = estimate_action_variance(states, actions, ends, options)
    other = estimate_action_variance(states, factor * actions + shift, ends, options)
    np.testing.assert_allclose(other.value, factor**2 * one.value, rtol=1e-9, atol=1e-12)
    constant = estimate_action_variance(states, np.full((27, 2), shift), ends, options)
    np.testing.assert_allclose(constant.value, 0, atol=1e-30)


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 13]))
def test_standardised_estimates_know_no_units(seed, width):
    generator = np.random.default_rng(seed)
    states, actions = generator.normal(size=(60, width)), generator.uniform(-1, 1, (60, 2))
    options = VarianceOptions(standardize=True)
    one = estimate_action_variance(states, actions, np.ones(60), options)
    units = 10 ** generator.uniform(-3, 3, width)
    other = estimate_action_variance(states * units + 5 * units, actions, np.ones(60), options)
    np.testing.assert_allclose(other.value, one.value, rtol=1e-9)


def test_half_precision_states_and_a_missing_last_end():
    states, ends = walks(1, [20, 20], 3)
    ends[-1] = 0
    options = VarianceOptions(k=3, exclude_same_trajectory=True)
    found = find_neighbours(states.astype(np.float16), ends, np.arange(40), options, "walks")
    np.testing.assert_array_equal(found, brute_force(states.astype(np.float16), ends, np.arange(40), 3, True))


def test_queries_are_drawn_once_each_and_by_the_seed():
    queries = draw_queries(1000, 100, seed=0)
    assert len(set(queries)) == 100
    assert (np.diff(queries) > 0).all()
    assert queries.min() < 100
    assert queries.max() >= 900
    np.testing.assert_array_equal(queries, draw_queries(1000, 100, seed=0))
    assert set(queries) != set(draw_queries(1000, 100, seed=1))
    assert draw_queries(7, 7, seed=0).tolist() == draw_queries(7, 8, seed=0).tolist() == list(range(7))


def test_the_estimate_says_what_it_depends_on():
    states, ends = walks(2, [30, 30, 30], 4)
    actions = np.random.default_rng(2).uniform(-1, 1, (90, 2)).astype(np.float32)
    options = VarianceOptions(4, 25, True, True, 1, True, 3)
    one = estimate_action_variance(states, actions, ends, options)
    assert one == estimate_action_variance(states, actions, ends, options)
    assert (one.queries, one.searched, one.k, one.ddof, one.seed) == (25, 90, 4, 1, 3)
    assert (one.standardize, one.include_self, one.exclude_same_trajectory) == (True, True, True)
    assert one.value != estimate_action_variance(states, actions, ends, replace(options, seed=4)).value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, r"k must be at least 2 \(a single action has no variance\), got 0"),
        ({"k": 1}, "k must be at least 2"),
        ({"num_queries": 0}, "num_queries must be at least 1, got 0"),
        ({"ddof": 2}, r"ddof must be one of \[0, 1\], got 2"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_unusable_options(changes, message):
    with pytest.raises(OptionError, match=message):
        VarianceOptions(**changes)


def test_images_are_refused_with_what_to_do():
    images = np.zeros((10, 4, 4, 3), np.uint8)
    with pytest.raises(DatasetError, match=r"^file.npz: `observations` are images.*the name without `visual-`"):
        estimate_action_variance(images, np.zeros((10, 2), np.float32), np.ones(10), source="file.npz")


@pytest.mark.parametrize(
    ("observations", "actions", "message"),
    [
        (np.zeros((5, 3)), np.zeros((5, 2)), "5 neighbours of a state need 6 states or more, got 5"),
        (np.zeros((9, 3), int), np.zeros((9, 2)), "`observations` must hold floating-point numbers, got int64"),
        (np.zeros((9, 3, 1)), np.zeros((9, 2)), r"`observations` must have shape \(any, any\)"),
        (np.zeros((9, 3)), np.zeros(9), r"`actions` must have shape \(9, any\)"),
        (np.zeros((9, 3)), np.zeros((8, 2)), r"`actions` must have shape \(9, any\)"),
        (np.full((9, 3), np.nan), np.zeros((9, 2)), "`observations` must hold finite numbers, but row 0"),
        (np.zeros((9, 3)), np.full((9, 2), np.inf), "`actions` must hold finite numbers, but row 0"),
    ],
)
def test_unusable_data(observations, actions, message):
    with pytest.raises(DatasetError, match=f"^the dataset: {message}"):
        estimate_action_variance(observations, actions, np.ones(len(observations)))


def test_ends_of_another_length_are_refused():
    with pytest.raises(DatasetError, match=r"`ends` must have shape \(5,\) \(one per state\), got \(4,\)"):
        estimate_action_variance(LINE, ACTIONS, ENDS[:4], VarianceOptions(k=2))


def test_too_few_states_in_other_trajectories():
    options = VarianceOptions(k=3, exclude_same_trajectory=True)
    message = "line: a state needs 3 neighbours in other trajectories, but one trajectory holds 3 of the 5 states"
    with pytest.raises(DatasetError, match=message):
        estimate_action_variance(LINE, ACTIONS, ENDS, options, source="line")


def test_the_library_is_imported_only_for_an_estimate():
    script = (
        "import sys, offlow_core.commands.data_iav, offlow_core.data.action_variance\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
