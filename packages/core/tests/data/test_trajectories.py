import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.trajectories import returns, spans


def test_spans_and_returns_of_two_trajectories_and_a_tail():
    ends = np.array([0, 0, 1, 0, 1, 0])
    starts, stops = spans(ends)
    assert starts.tolist() == [0, 3]
    assert stops.tolist() == [3, 5]
    assert returns(np.array([1, 2, 4, 8, 16, 32], np.float32), ends).tolist() == [7, 24]


def test_without_an_end_there_is_no_trajectory():
    starts, stops = spans(np.zeros(3))
    assert starts.size == stops.size == 0
    assert returns(np.ones(3), np.zeros(3)).tolist() == []


def test_small_rewards_are_not_lost_beside_a_large_one():
    rewards = np.array([1e8, *[0.5] * 100], np.float32)  # in float32, 1e8 + 0.5 is 1e8
    assert returns(rewards, np.eye(101)[100]).tolist() == [1e8 + 50]


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=30))
def test_returns_equal_a_plain_loop(steps):
    expected, running = [], 0
    for reward, end in steps:
        running += reward
        if end:
            expected.append(running)
            running = 0
    rewards, ends = (np.array(column) for column in zip(*steps, strict=True)) if steps else (np.zeros(0), np.zeros(0))
    assert returns(rewards, ends).tolist() == expected
