"""Datasets in shards: parts that are trained on one after another, as all of them together do not fit into memory."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from offlow_core.data.transitions import Change, Dataset, Transitions


@dataclass(frozen=True)
class Shards:
    """Where the shards of a dataset come from, and when it is whose turn."""

    names: tuple[str, ...]
    """What errors call them, in the order in which they are trained on; after the last comes the first again."""
    most_rows: int
    """Rows of the longest file: no shard has more stored observations, or more transitions."""
    interval: int
    """Updates between two changes of the shard."""
    load: Callable[[int], Transitions]
    """Reads a shard; DatasetError that names it where it is missing, damaged, or not what it was. May be called in any
    thread, one call at a time."""

    def at(self, update: int) -> int:
        """The shard that an update, counted from 1, is made on; 0 is the first.

        An update whose number the interval divides is the first on another shard, as in Q-chunking's official code
        (arXiv 2507.07969): the very first shard serves for one update less than the others.
        """
        return update // self.interval % len(self.names)

    def next_change(self, update: int) -> int:
        """The first update after this one that is made on another shard, if there are several."""
        return (update // self.interval + 1) * self.interval


@dataclass(frozen=True, eq=False)
class ShardedDataset(Dataset):
    """A dataset of which `train` is the first shard. Files of shards have the role "shard" in `origin`."""

    shards: Shards

    def mapped(self, change: Change) -> Self:
        # The new function must not keep this dataset, and with it the first shard, in memory.
        load = partial(_load_changed, self.shards.load, change)
        return replace(super().mapped(change), shards=replace(self.shards, load=load))

    def checksum(self) -> str:
        digests = [file["arrays_sha256"] for file in self.origin["files"] if file["role"] == "shard"]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    @property
    def extent(self) -> str:
        return f"{len(self.shards.names)} shards, the first one of {super().extent}"


def _load_changed(load: Callable[[int], Transitions], change: Change, number: int) -> Transitions:
    return change(load(number))
