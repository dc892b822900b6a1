"""Whose turn it is, and what a dataset in shards says of itself."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from offlow_core.data.shards import ShardedDataset, Shards
from offlow_core.data.transitions import Transitions
from offlow_core.testing.toy_task import make_dataset

FILES = [{"role": "shard", "arrays_sha256": digest} for digest in ("aa", "bb", "cc")]


def sharded(files: list[dict] = FILES) -> ShardedDataset:
    """Three shards that are told apart by their seeds; shard 0 has held-out transitions."""
    first = make_dataset()
    shards = Shards(("a", "b", "c"), 22, 4, lambda number: make_dataset(seed=number).train)
    return ShardedDataset(first.train, first.validation, {"files": files}, shards)


def doubled(transitions: Transitions) -> Transitions:
    return replace(transitions, rewards=2 * transitions.rewards)


def test_turns():
    shards = sharded().shards
    # Update 4 is the first on the second shard, so that the first serves for 3 updates before it is its turn again.
    assert [shards.at(update) for update in range(1, 18)] == [*[0] * 3, *[1] * 4, *[2] * 4, *[0] * 4, *[1] * 2]
    assert [shards.next_change(update) for update in (1, 3, 4, 7, 8)] == [4, 4, 8, 8, 12]
    assert shards.at(0) == 0  # where training begins online


@pytest.mark.parametrize("interval", [1, 2, 7])
def test_the_shard_changes_where_it_is_said_to(interval):
    shards = replace(sharded().shards, interval=interval)
    for update in range(1, 40):
        change = shards.next_change(update)
        assert {shards.at(later) for later in range(update, change)} == {shards.at(update)}
        assert shards.at(change) == (shards.at(update) + 1) % 3


def test_a_change_is_made_to_every_shard():
    plain, changed = sharded(), sharded().mapped(doubled)
    np.testing.assert_array_equal(changed.train.rewards, 2 * plain.train.rewards)
    np.testing.assert_array_equal(changed.validation.rewards, 2 * plain.validation.rewards)
    for number in range(3):
        np.testing.assert_array_equal(changed.shards.load(number).rewards, 2 * plain.shards.load(number).rewards)


def test_a_changed_dataset_does_not_keep_the_first_shard_of_the_other():
    plain = sharded()
    first = weakref.ref(plain.train)
    shards = plain.mapped(doubled).shards
    del plain
    gc.collect()
    assert first() is None
    assert len(shards.load(0)) == 22


def test_the_checksum_is_that_of_all_shards_in_their_order():
    held_out = {"role": "validation", "sha256": "dd"}
    assert sharded().checksum() == sharded([*FILES, held_out]).checksum()
    others = (FILES[::-1], FILES[:2], [*FILES[:2], {"role": "shard", "arrays_sha256": "dd"}])
    assert len({sharded(files).checksum() for files in (FILES, *others)}) == 4


def test_the_extent_in_words():
    assert make_dataset().extent == "22 transitions (11 held out)"
    assert sharded().extent == "3 shards, the first one of 22 transitions (11 held out)"
