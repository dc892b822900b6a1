from dataclasses import replace

import numpy as np
import pytest

from offlow_core.data.chunks import draw_starts, gather_chunks
from offlow_core.data.transitions import Transitions


@pytest.fixture
def transitions() -> Transitions:
    """Six transitions in trajectories 0-2 (which reaches its goal) and 3-5 (which is cut off)."""
    return Transitions(
        observations=np.arange(8, dtype=np.float32)[:, None],
        rows=np.array([0, 1, 2, 4, 5, 6], np.int32),
        next_rows=np.array([1, 2, 3, 5, 6, 7], np.int32),
        actions=np.arange(6, dtype=np.float32)[:, None],
        rewards=np.array([1, 2, 4, 8, 16, 32], np.float32),
        masks=np.array([1, 1, 0, 1, 1, 1], np.float32),
        terminals=np.array([0, 0, 1, 0, 0, 1], np.float32),
    )


def test_a_chunk_across_the_end_of_a_trajectory(transitions):
    chunk = {name: values[0] for name, values in gather_chunks(transitions, np.array([1]), 3, 0.5).items()}
    assert chunk["observations"].tolist() == [1]
    assert chunk["full_observations"].ravel().tolist() == [1, 2, 4]
    assert chunk["actions"].ravel().tolist() == [1, 2, 3]
    assert chunk["next_actions"].ravel().tolist() == [2, 3, 4]
    assert chunk["next_observations"].ravel().tolist() == [2, 3, 5]
    assert chunk["rewards"].tolist() == [2, 4, 6]  # 2, + 4/2, + 8/4
    assert chunk["masks"].tolist() == [1, 0, 0]
    assert chunk["terminals"].tolist() == [0, 1, 1]
    assert chunk["valid"].tolist() == [1, 1, 0]


def test_the_last_chunk_repeats_the_last_action_as_next(transitions):
    chunk = gather_chunks(transitions, np.array([4]), 2, 1.0)
    assert chunk["next_actions"].ravel().tolist() == [5, 5]


def test_a_chunk_of_one_is_a_transition(transitions):
    index = np.arange(6)
    chunks, batch = gather_chunks(transitions, index, 1, 0.9), transitions.gather(index)
    for name in ("rewards", "masks", "terminals", "actions", "next_observations"):
        np.testing.assert_array_equal(chunks[name][:, 0], batch[name])
    assert chunks["valid"].tolist() == [[1]] * 6


def test_the_write_position_of_a_ring_buffer_ends_a_trajectory(transitions):
    ring = replace(transitions, terminals=np.zeros(6, np.float32))  # 4 is the oldest transition, 3 the newest
    chunk = gather_chunks(ring, np.array([2]), 4, 1.0, write_position=4)
    assert chunk["terminals"].tolist() == [[0, 1, 1, 1]]
    assert chunk["valid"].tolist() == [[1, 1, 0, 0]]
    assert ring.terminals.sum() == 0
    # Written from the start again: the newest transition is the last one, and no chunk reaches beyond it.
    assert gather_chunks(ring, np.array([2]), 4, 1.0, write_position=0)["valid"].tolist() == [[1, 1, 1, 1]]


def test_types_are_those_of_the_device(transitions):
    chunks = gather_chunks(transitions, np.array([0]), 2, 0.99)
    assert {values.dtype for values in chunks.values()} == {np.dtype(np.float32)}


def test_starts_cover_exactly_what_a_chunk_can_begin_with():
    starts = draw_starts(np.random.default_rng(0), size=10, horizon=4, batch_size=500)
    assert set(starts.tolist()) == set(range(7))
    with pytest.raises(ValueError, match="a chunk of 4 transitions cannot be drawn from 3"):
        draw_starts(np.random.default_rng(0), size=3, horizon=4, batch_size=1)
