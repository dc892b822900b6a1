from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.selection import best_trajectories, first_transitions, random_trajectories, select
from offlow_core.data.trajectories import spans
from offlow_core.data.transitions import Transitions
from offlow_core.data.validation import validate
from offlow_core.option_checks import OptionError


def trajectories(*rewards: list[float]) -> Transitions:
    """One trajectory per list; each state is stored once, so that one of n transitions has n + 1 rows."""
    lengths = np.array([len(part) for part in rewards])
    first_rows = np.cumsum(lengths + 1) - lengths - 1
    rows = np.concatenate([first + np.arange(length) for first, length in zip(first_rows, lengths, strict=True)])
    n = int(lengths.sum())
    ends = np.zeros(n, np.float32)
    ends[np.cumsum(lengths) - 1] = 1
    return Transitions(
        observations=100 + np.arange((lengths + 1).sum(), dtype=np.float32)[:, None],
        rows=rows.astype(np.int32),
        next_rows=(rows + 1).astype(np.int32),
        actions=np.arange(n, dtype=np.float32)[:, None],
        rewards=np.concatenate(rewards).astype(np.float32),
        masks=np.ones(n, np.float32),
        terminals=ends,
    )


FOUR = trajectories([1, 1], [5], [0, 2], [4])  # returns 2, 5, 2, 4


@pytest.mark.parametrize(
    ("percentile", "kept"),
    [
        (100, [0, 1, 2, 3, 4, 5]),
        (75, [2, 3, 4, 5]),  # of the equal returns 2 the later trajectory
        (50, [2, 5]),
        (49, [2]),  # int(1.96) trajectories
        (1, [2]),  # at least one
    ],
)
def test_the_best_trajectories(percentile, kept):
    part = best_trajectories(FOUR, percentile)
    assert part.actions.ravel().tolist() == kept
    assert part.terminals[-1] == 1


def test_selected_transitions_keep_their_states_and_store_no_others():
    part = best_trajectories(FOUR, 50)  # transitions 2: 103 -> 104, and 5: 108 -> 109
    assert part.observations.ravel().tolist() == [103, 104, 108, 109]
    assert part.rows.tolist() == [0, 2]
    assert part.next_rows.tolist() == [1, 3]
    assert part.rewards.tolist() == [5, 4]
    assert part.terminals.tolist() == [1, 1]
    assert part.rows.dtype == part.next_rows.dtype == np.int32
    validate(part, "a selection")


def test_recorded_selection():
    """Kept trajectories of DAC's official code (commit e254357), which orders them by their return."""
    path = Path(__file__).with_name("recorded_selection.npz")
    with np.load(path, allow_pickle=False) as file:
        names = ("observations", "actions", "rewards", "masks", "next_observations")
        data = Transitions.from_arrays(
            **{name: file[f"expected/{name}"] for name in names}, terminals=file["expected/dones_float"]
        )
        for percentile in (50, 20):
            batch = (part := best_trajectories(data, percentile)).gather(np.arange(len(part)))
            for name in ("observations", "rewards"):
                expected = file[f"expected/take_top_{percentile}/{name}"].reshape(len(part), -1)
                got = batch[name].reshape(len(part), -1)
                np.testing.assert_array_equal(got[np.lexsort(got.T)], expected[np.lexsort(expected.T)])


def test_random_trajectories_are_whole_and_each_has_its_chance():
    generator = np.random.default_rng(0)
    drawn = {tuple(random_trajectories(FOUR, 50, generator).actions.ravel().tolist()) for _ in range(100)}
    assert drawn == {(0, 1, 2), (0, 1, 3, 4), (0, 1, 5), (2, 3, 4), (2, 5), (3, 4, 5)}
    assert len(random_trajectories(FOUR, 1, generator)) in (1, 2)
    assert random_trajectories(FOUR, 100, generator).actions.ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_equal_generators_draw_equal_trajectories():
    one, other = (random_trajectories(FOUR, 50, np.random.default_rng(7)).actions for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_the_first_transitions_end_where_they_are_cut():
    part = first_transitions(FOUR, 0.5)
    assert part.actions.ravel().tolist() == [0, 1, 2]
    assert part.terminals.tolist() == [0, 1, 1]
    inside = first_transitions(FOUR, 0.7)  # int(4.2)
    assert inside.terminals.tolist() == [0, 1, 1, 1]
    assert FOUR.terminals.tolist() == [0, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("percent", [0, -5, 101, float("nan")])
def test_impossible_shares(percent):
    with pytest.raises(OptionError, match=r"percentile must lie in \(0, 100\], got"):
        best_trajectories(FOUR, percent)
    with pytest.raises(OptionError, match=r"percentage must lie in \(0, 100\], got"):
        random_trajectories(FOUR, percent, np.random.default_rng(0))
    with pytest.raises(OptionError, match=r"proportion of 6 transitions .* got"):
        first_transitions(FOUR, percent)


def test_a_proportion_that_leaves_nothing():
    with pytest.raises(OptionError, match=r"leave at least one, got 0\.1"):
        first_transitions(FOUR, 0.1)


parts = st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=5), min_size=1, max_size=6)


@given(parts, st.floats(1, 100), st.sampled_from(["best", "random"]))
def test_selections_hold_whole_trajectories_of_the_data(rewards, percent, kind):
    data = trajectories(*rewards)
    part = (
        best_trajectories(data, percent)
        if kind == "best"
        else random_trajectories(data, percent, np.random.default_rng(0))
    )
    validate(part, "a selection")
    kept = [part.actions[start:stop, 0].tolist() for start, stop in zip(*spans(part.terminals), strict=True)]
    whole = [data.actions[start:stop, 0].tolist() for start, stop in zip(*spans(data.terminals), strict=True)]
    assert len(kept) == max(1, int(len(whole) * percent / 100))
    assert [trajectory for trajectory in whole if trajectory in kept] == kept
    indices = part.actions.ravel().astype(int)
    expected, got = data.gather(indices), part.gather(np.arange(len(part)))
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values)
    assert len(part.observations) == len(np.unique(np.concatenate([data.rows[indices], data.next_rows[indices]])))


def test_images_stay_images():
    images = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1)
    zeros = np.zeros(4, np.float32)
    data = Transitions.from_arrays(images[:-1], zeros[:, None], zeros, zeros, np.ones(4), images[1:])
    part = select(data, np.array([2]))
    np.testing.assert_array_equal(part.observations, images[2:4])
    assert part.observations.dtype == np.uint8
