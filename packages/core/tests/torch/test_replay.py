"""The ring against a plain list."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offlow_core.data.transitions import Transitions, empty_transitions
from offlow_core.testing.comparisons import assert_identical
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device_data import Sampler, to_device
from offlow_core.torch.host_reads import no_host_reads
from offlow_core.torch.replay import Replay
from offlow_core.torch.state_arrays import to_arrays

CPU = torch.device("cpu")
# offline transitions (0: an empty ring), capacity, online steps
SIZES = [(3, 100, 6), (3, 5, 9), (3, 4, 9), (0, 100, 6), (0, 4, 9)]
each_rule = pytest.mark.parametrize("samples_last", [False, True])


def numbered(number: int) -> dict[str, np.ndarray]:
    """A transition all of whose fields tell its number."""
    return {
        "observations": np.array([number, 0], np.float32),
        "actions": np.array([number / 1000], np.float32),
        "rewards": np.float32(-number),
        "masks": np.float32(number % 2),
        "terminals": np.float32(number % 3 == 0),
        "next_observations": np.array([number, 1], np.float32),
    }


def make_ring(offline: int, capacity: int, online_steps: int, *, samples_last: bool = False) -> Replay:
    data = empty_transitions(2, 1)
    if offline > 0:
        batch = [numbered(k) for k in range(offline)]
        data = Transitions.from_arrays(**{name: np.stack([step[name] for step in batch]) for name in batch[0]})
    return Replay.over(to_device(data, CPU), capacity, online_steps, samples_last=samples_last)


def insert(ring: Replay, number: int) -> None:
    ring.insert({name: torch.tensor(values) for name, values in numbered(number).items()})


def contents(ring: Replay) -> list[int]:
    """Numbers of the transitions that can be sampled, by slot, after checking that all fields agree."""
    data = ring.transitions
    found = []
    for k in range(int(ring.size)):
        step = {name: getattr(data, name)[k] for name in ("actions", "rewards", "masks", "terminals")}
        step |= {
            "observations": data.observations[data.rows[k]],
            "next_observations": data.observations[data.next_rows[k]],
        }
        number = int(step["observations"][0])
        for name, expected in numbered(number).items():
            np.testing.assert_array_equal(step[name], expected, err_msg=name)
        found.append(number)
    return found


@each_rule
@pytest.mark.parametrize(("offline", "capacity", "online_steps"), SIZES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_slots_hold_what_was_written_last_and_come_back_from_a_checkpoint(
    offline, capacity, online_steps, samples_last, data
):
    ring = make_ring(offline, capacity, online_steps, samples_last=samples_last)
    slots = dict(enumerate(range(offline)))
    inserts = data.draw(st.integers(0, online_steps), label="inserts")
    saved_after = data.draw(st.integers(0, inserts), label="saved after")
    for i in range(inserts + 1):
        if i == saved_after:
            saved, before = ring.state_arrays(), everything(ring)
            ring = make_ring(offline, capacity, online_steps, samples_last=samples_last)
            ring.load_state_arrays(saved)
            assert_identical(everything(ring), before)
        sampled = min(len(slots), capacity if samples_last else capacity - 1)
        assert contents(ring) == [slots[k] for k in range(sampled)]
        if i < inserts:
            insert(ring, 100 + i)
            slots[(offline + i) % capacity] = 100 + i


def everything(ring: Replay) -> dict[str, np.ndarray]:
    """All that can ever be read of a ring: rows that were overwritten in the meantime cannot."""
    data = ring.transitions
    arrays = {name: values for name, values in vars(data).items() if name not in ("observations", "rows", "next_rows")}
    arrays |= {"now": data.observations[data.rows], "after": data.observations[data.next_rows]}
    return to_arrays(arrays | {"inserted": ring.inserted, "size": ring.size, "pointer": ring.pointer})


def test_slots_are_filled_in_order_and_offline_data_goes_first():
    ring = make_ring(3, 5, 9)
    seen = [contents(ring)]
    for i in range(7):
        insert(ring, 100 + i)
        seen.append(contents(ring))
    assert seen[0] == [0, 1, 2]
    assert seen[1] == [0, 1, 2, 100]
    assert seen[2] == [0, 1, 2, 100]  # the last slot is written and never sampled
    assert seen[3] == [102, 1, 2, 100]
    assert seen[7] == [102, 103, 104, 105]


def test_a_full_ring_may_be_sampled_with_its_last_slot():
    ring, sizes = make_ring(0, 3, 9, samples_last=True), []
    for i in range(5):
        insert(ring, 100 + i)
        sizes.append(int(ring.size))
    assert sizes == [1, 2, 3, 3, 3]
    drawn = Sampler().sample(ring.transitions, torch.Generator().manual_seed(0), 200, ring.size)
    assert set(drawn["observations"][:, 0].tolist()) == {102, 103, 104}


def test_a_chunk_straddles_the_place_that_is_written_to():
    ring = make_ring(4, 6, 9)
    for i in range(3):
        insert(ring, 100 + i)
    assert contents(ring) == [102, 1, 2, 3, 100]
    chunk = ChunkSampler(3, 1.0).gather(ring.transitions, torch.tensor([0]))
    assert chunk["rewards"].tolist() == [[-102, -103, -105]]


def test_every_slot_that_can_be_sampled_is():
    ring = make_ring(2, 100, 3)
    draws = torch.Generator().manual_seed(0)
    for i in range(3):
        insert(ring, 100 + i)
        batch = Sampler().sample(ring.transitions, draws, 200, ring.size)
        assert set(batch["observations"][:, 0].tolist()) == {0, 1, *range(100, 101 + i)}


def test_the_state_holds_the_online_part_alone():
    ring = make_ring(2, 4, 9)
    for i in range(7):
        insert(ring, 100 + i)
    saved = ring.state_arrays()
    assert saved["observations"][:, 0].tolist() == [103, 104, 105, 106]
    assert saved["next_observations"].tolist() == [[n, 1] for n in (103, 104, 105, 106)]
    assert saved["inserted"] == 7
    assert len(make_ring(2, 4, 9).state_arrays()["rewards"]) == 0


def test_inserting_reads_nothing_on_the_host():
    ring = make_ring(3, 5, 9)
    steps = [{name: torch.tensor(v) for name, v in numbered(100 + i).items()} for i in range(4)]
    with no_host_reads():
        for step in steps:
            ring.insert(step)


def test_a_buffer_without_room_is_refused():
    with pytest.raises(ValueError, match="a buffer of 3 transitions has no room beside the dataset's 3"):
        make_ring(3, 3, 5)
    with pytest.raises(ValueError, match="a buffer of 1 transitions has no room beside the dataset's 0"):
        make_ring(0, 1, 5)


def test_a_ring_is_no_longer_than_it_can_get():
    ring = make_ring(3, 2_000_000, 5)
    assert len(ring.transitions) == 9  # one more than can be filled, which is never sampled
    assert len(ring.transitions.observations) == 6 + 2 * 5
