"""What updates draw their batches from: a dataset that is on the device as a whole, or shard by shard."""

from collections.abc import Iterable, Iterator

import torch

from offlow_core.data.read_ahead import ReadAhead
from offlow_core.data.shards import ShardedDataset
from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device_data import Batch, DeviceTransitions, Sampler, to_device


class WholeData:
    """A dataset that stays on the device from the beginning to the end."""

    def __init__(self, dataset: Dataset, sampler: Sampler | ChunkSampler, batch_size: int, device: torch.device):
        self._transitions = to_device(dataset.train, device)
        self._sampler, self._batch_size = sampler, batch_size

    def draw(self, generator: torch.Generator) -> Batch:
        """A batch for the update of the moment."""
        return self._sampler.sample(self._transitions, generator, self._batch_size)

    def stretches(self, step: int, steps: int) -> Iterable[range]:
        """The updates after `step` to `step + steps - 1` others, in parts that are drawn from the same transitions.

        While the caller is at a part, `draw` draws from its transitions.
        """
        return [range(step, step + steps)]

    def at(self, update: int) -> DeviceTransitions:
        """What the update with this number, counted from 1, is made on."""
        return self._transitions

    def release(self) -> None:
        """Give the memory back: nothing is drawn from here any more."""
        self._transitions = _emptied(self._transitions)

    def close(self) -> None:
        """End what goes on in the background."""


class ShardedData:
    """The shard of the moment, in tensors that stay where they are, and the next one on its way into memory.

    Shards differ in length, but recorded graphs know the tensors that they read by their addresses: the tensors have
    room for the longest shard, are overwritten in place, and how much of them counts is a number on the device. What
    is behind that is left over from earlier shards, and never drawn.
    """

    def __init__(
        self,
        dataset: ShardedDataset,
        sampler: Sampler | ChunkSampler,
        batch_size: int,
        device: torch.device,
        last_update: int,
    ):
        """No shard that only updates after `last_update` would need is read ahead."""
        self._sampler, self._batch_size, self._last_update = sampler, batch_size, last_update
        self._shards = dataset.shards  # not the dataset, which holds the first shard
        self._reader = ReadAhead(dataset.shards.load)
        self._buffers = _room_for(dataset.train, dataset.shards.most_rows, device)
        self._size = torch.zeros((), dtype=torch.int64, device=device)
        self._put(0, dataset.train)

    def draw(self, generator: torch.Generator) -> Batch:
        """A batch for the update of the moment."""
        return self._sampler.sample(self._buffers, generator, self._batch_size, self._size)

    def stretches(self, step: int, steps: int) -> Iterator[range]:
        """See `WholeData`. Waits where a shard is needed that has not been read; DatasetError if it cannot be."""
        end = step + steps
        while step < end:
            change = self._shards.next_change(step + 1)
            self._go_to(self._shards.at(step + 1))
            if change <= self._last_update and self._shards.at(change) != self._number:
                self._reader.expect(self._shards.at(change))
            stop = min(end, change - 1)
            yield range(step, stop)
            step = stop

    def at(self, update: int) -> DeviceTransitions:
        """See `WholeData`; good until another shard is needed."""
        self._go_to(self._shards.at(update))
        return DeviceTransitions(
            **{name: values[: self._lengths[name]] for name, values in vars(self._buffers).items()}
        )

    def release(self) -> None:
        """See `WholeData`."""
        self._reader.close()
        self._buffers = _emptied(self._buffers)

    def close(self) -> None:
        """End what goes on in the background."""
        self._reader.close()

    def _go_to(self, number: int) -> None:
        if number != self._number:
            self._put(number, self._reader.take(number))

    def _put(self, number: int, transitions: Transitions) -> None:
        if len(transitions) < self._sampler.least:
            raise DatasetError(
                f"{self._shards.names[number]}: holds {len(transitions)} transitions, but a sample takes "
                f"{self._sampler.least} in a row; leave this file out."
            )
        shard = vars(to_device(transitions, torch.device("cpu")))
        for name, values in shard.items():
            getattr(self._buffers, name)[: len(values)].copy_(values)
        self._number, self._lengths = number, {name: len(values) for name, values in shard.items()}
        self._size.fill_(len(transitions))


def training_data(
    dataset: Dataset, sampler: Sampler | ChunkSampler, batch_size: int, device: torch.device, last_update: int
) -> WholeData | ShardedData:
    """What `dataset` is for updates up to `last_update`."""
    if isinstance(dataset, ShardedDataset):
        return ShardedData(dataset, sampler, batch_size, device, last_update)
    return WholeData(dataset, sampler, batch_size, device)


def _emptied(data: DeviceTransitions) -> DeviceTransitions:
    return DeviceTransitions(**{name: values[:0].clone() for name, values in vars(data).items()})


def _room_for(transitions: Transitions, rows: int, device: torch.device) -> DeviceTransitions:
    """Tensors like those of some transitions, each with so many rows."""
    example = vars(to_device(transitions, torch.device("cpu")))
    return DeviceTransitions(
        **{name: values.new_zeros((rows, *values.shape[1:]), device=device) for name, values in example.items()}
    )
