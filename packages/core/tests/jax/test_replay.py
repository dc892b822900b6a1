"""The ring against a plain list."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offlow_core.data.transitions import Transitions
from offlow_core.jax.device_data import Sampler, to_device
from offlow_core.jax.replay import Replay, create_replay, insert, online_part, restore

insert_jitted = jax.jit(insert)
# offline transitions, capacity, online steps, whether the ring starts with the dataset
SIZES = [(3, 100, 6, True), (3, 5, 9, True), (3, 4, 9, True), (3, 100, 6, False), (3, 4, 9, False)]


def numbered(number: int) -> dict[str, np.ndarray]:
    """A transition all of whose fields tell its number."""
    return {
        "observations": np.array([number, 0], np.float32),
        "actions": np.array([number / 1000], np.float32),
        "rewards": np.float32(-number),
        "masks": np.float32(number % 2),
        "next_observations": np.array([number, 1], np.float32),
    }


def dataset(n: int) -> Transitions:
    batch = [numbered(k) for k in range(n)]
    stacked = {name: np.stack([step[name] for step in batch]) for name in batch[0]}
    return Transitions.from_arrays(**stacked, terminals=np.ones(n))


def contents(replay: Replay) -> list[int]:
    """Numbers of the transitions that can be sampled, by slot, after checking that all fields agree."""
    data = jax.tree.map(np.asarray, replay.transitions)
    found = []
    for k in range(data.size):
        step = {name: getattr(data, name)[k] for name in ("actions", "rewards", "masks")}
        step |= {
            "observations": data.observations[data.rows[k]],
            "next_observations": data.observations[data.next_rows[k]],
        }
        number = int(step["observations"][0])
        assert all((step[name] == expected).all() for name, expected in numbered(number).items())
        found.append(number)
    return found


@pytest.mark.parametrize(("offline", "capacity", "online_steps", "keep_offline"), SIZES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_the_newest_transitions_are_there_and_come_back_from_a_checkpoint(
    offline, capacity, online_steps, keep_offline, data
):
    empty = create_replay(to_device(dataset(offline)), capacity, online_steps, keep_offline=keep_offline)
    replay, model = empty, list(range(offline)) if keep_offline else []
    slots = min(capacity, len(model) + online_steps)
    inserts = data.draw(st.integers(0, online_steps), label="inserts")
    saved_after = data.draw(st.integers(0, inserts), label="saved after")
    for i in range(inserts + 1):
        if i == saved_after:
            before = contents(replay)
            replay = restore(empty, online_part(replay))
            assert contents(replay) == before
            assert int(replay.inserted) == i
        assert sorted(contents(replay)) == sorted(model[-slots:])
        if i < inserts:
            replay = insert_jitted(replay, numbered(100 + i))
            model.append(100 + i)


def test_slots_are_filled_in_order_and_the_oldest_goes_first():
    replay = create_replay(to_device(dataset(3)), 4, 9, keep_offline=True)
    seen = [contents(replay)]
    for i in range(6):
        replay = insert_jitted(replay, numbered(100 + i))
        seen.append(contents(replay))
    assert seen[0] == [0, 1, 2]
    assert seen[1] == [0, 1, 2, 100]
    assert seen[2] == [101, 1, 2, 100]
    assert seen[5] == [101, 102, 103, 104]
    assert seen[6] == [105, 102, 103, 104]


def test_the_newest_and_the_last_slot_are_sampled():
    replay = create_replay(to_device(dataset(2)), 100, 3, keep_offline=True)
    for i in range(3):
        replay = insert_jitted(replay, numbered(100 + i))
        batch = Sampler().sample(replay.transitions, jax.random.key(i), 200, {})
        assert set(np.asarray(batch["observations"])[:, 0]) == {0, 1, *range(100, 101 + i)}


def test_what_is_saved_is_what_was_inserted_oldest_first():
    replay = create_replay(to_device(dataset(2)), 4, 9, keep_offline=True)
    for i in range(7):
        replay = insert_jitted(replay, numbered(100 + i))
    saved = online_part(replay)
    assert saved["observations"][:, 0].tolist() == [103, 104, 105, 106]
    assert saved["next_observations"].tolist() == [[n, 1] for n in (103, 104, 105, 106)]
    assert saved["inserted"] == 7


def test_a_buffer_without_room_is_refused():
    with pytest.raises(ValueError, match="a buffer of 3 transitions has no room beside the dataset's 3"):
        create_replay(to_device(dataset(3)), 3, 5, keep_offline=True)


def test_a_ring_is_no_longer_than_it_can_get():
    replay = create_replay(to_device(dataset(3)), 2_000_000, 5, keep_offline=True)
    assert len(replay.transitions.rows) == 8
    assert len(replay.transitions.observations) == 6 + 2 * 5
