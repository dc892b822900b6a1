import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.transitions import Transitions, clip_actions


def two_trajectories() -> Transitions:
    """States 0 -> 1 -> 2 and 3 -> 4, each a stored row; action k is 10 k."""
    return Transitions(
        observations=np.arange(5, dtype=np.float32)[:, None],
        rows=np.array([0, 1, 3], np.int32),
        next_rows=np.array([1, 2, 4], np.int32),
        actions=np.array([[0], [10], [20]], np.float32),
        rewards=np.array([-1, 0, -1], np.float32),
        masks=np.array([1, 0, 1], np.float32),
        terminals=np.array([0, 1, 1], np.float32),
    )


def test_gather_reads_each_end_of_a_transition_from_its_row():
    batch = two_trajectories().gather(np.array([2, 0, 1]))
    assert batch["observations"].ravel().tolist() == [3, 0, 1]
    assert batch["next_observations"].ravel().tolist() == [4, 1, 2]
    assert batch["actions"].ravel().tolist() == [20, 0, 10]
    assert batch["rewards"].tolist() == [-1, -1, 0]
    assert batch["masks"].tolist() == [1, 1, 0]
    assert batch["terminals"].tolist() == [1, 0, 1]


def test_frame_stack_repeats_the_first_frame_and_ends_in_the_successor():
    batch = two_trajectories().gather(np.array([0, 1, 2]), frame_stack=3)
    assert batch["observations"].tolist() == [[0, 0, 0], [0, 0, 1], [3, 3, 3]]
    assert batch["next_observations"].tolist() == [[0, 0, 1], [0, 1, 2], [3, 3, 4]]


def test_trajectory_starts():
    transitions = replace(two_trajectories(), terminals=np.array([0, 1, 1], np.float32))
    assert transitions.trajectory_starts().tolist() == [0, 0, 2]
    assert transitions.trajectory_starts().dtype == np.int32


def test_a_frame_stack_of_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        two_trajectories().gather(np.array([0]), frame_stack=0)


def test_from_arrays_stores_a_successor_only_where_it_is_not_the_next_observation():
    observations = np.array([[0], [1], [3]], np.float32)
    successors = np.array([[1], [2], [4]], np.float32)
    zeros = np.zeros(3)
    transitions = Transitions.from_arrays(observations, zeros[:, None], zeros, zeros, zeros, successors)
    assert transitions.observations.ravel().tolist() == [0, 1, 3, 2, 4]
    assert transitions.next_rows.tolist() == [1, 3, 4]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12), st.sampled_from([(), (2, 2)])
)
def test_from_arrays_gives_back_what_it_was_given(pairs, image):
    n = len(pairs)
    now, after = (
        np.broadcast_to(np.reshape(x, (n, *(1 for _ in image), 1)), (n, *image, 1)) for x in zip(*pairs, strict=True)
    )
    dtype = np.uint8 if image else np.float32
    flags = np.arange(n) % 2
    transitions = Transitions.from_arrays(now.astype(dtype), flags[:, None], flags, flags, flags, after.astype(dtype))
    batch = transitions.gather(np.arange(n))
    np.testing.assert_array_equal(batch["observations"], now)
    np.testing.assert_array_equal(batch["next_observations"], after)
    assert batch["observations"].dtype == dtype


def test_checksum_is_the_sha256_of_names_types_shapes_and_bytes():
    transitions = two_trajectories()
    digest = hashlib.sha256()
    for name, dtype, shape in [
        ("observations", "<f4", (5, 1)),
        ("rows", "<i4", (3,)),
        ("next_rows", "<i4", (3,)),
        ("actions", "<f4", (3, 1)),
        ("rewards", "<f4", (3,)),
        ("masks", "<f4", (3,)),
        ("terminals", "<f4", (3,)),
    ]:
        digest.update(f"{name} {dtype} {shape}\n".encode() + getattr(transitions, name).tobytes())
    assert transitions.checksum() == digest.hexdigest()
    json.dumps(transitions.checksum())


@pytest.mark.parametrize("name", ["observations", "next_rows", "actions", "masks"])
def test_checksum_changes_with_every_array(name):
    transitions = two_trajectories()
    other = getattr(transitions, name).copy()
    other[0] += 1
    assert replace(transitions, **{name: other}).checksum() != transitions.checksum()


def test_nbytes_counts_all_arrays():
    assert two_trajectories().nbytes == 4 * (5 + 3 + 3 + 3 + 3 + 3 + 3)


def test_clipped_actions_stay_inside_of_the_border():
    clipped = clip_actions(np.array([-1, -0.5, 0.99999, 1], np.float32))
    assert clipped.dtype == np.float32
    np.testing.assert_array_equal(clipped, np.array([-(1 - 1e-5), -0.5, 1 - 1e-5, 1 - 1e-5], np.float32))
