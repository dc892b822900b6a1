"""The replay buffer of online training: a ring on the device that starts with the dataset, or empty."""

import numpy as np
import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch, DeviceTransitions
from offlow_core.torch.state_arrays import to_arrays

PER_STEP = ("observations", "actions", "rewards", "masks", "terminals", "next_observations")
"""What `insert` takes of one environment step."""


class Replay:
    """A ring of transitions that online ones are written into; where it is written to is counted on the device.

    Slots are filled from the dataset on, then from the first one again, so that the oldest offline transitions are
    overwritten first. Without `samples_last` all but the last slot of a full ring can be sampled: `size` stays at
    capacity - 1, as in the buffer of Q-chunking (arXiv 2507.07969). Consecutive slots are what chunks are made of, so
    some straddle the place that is written to.
    """

    def __init__(self, transitions: DeviceTransitions, offline: int, first_row: int, *, samples_last: bool = False):
        """`transitions` with room behind the first `offline` of them, and for their observations from `first_row` on.

        Every online transition owns two rows there, which are reused when its slot is.
        """
        self.transitions = transitions
        self._offline, self._first_row = offline, first_row
        self._most = len(transitions) - (0 if samples_last else 1)
        self._row_pairs = (len(transitions.observations) - first_row) // 2
        device = transitions.rows.device
        self.inserted = torch.zeros((), dtype=torch.int64, device=device)
        self.size = torch.full((), offline, dtype=torch.int64, device=device)
        """How many of the first slots can be sampled, a number on the device."""

    @classmethod
    def over(cls, data: DeviceTransitions, capacity: int, online_steps: int, *, samples_last: bool = False) -> "Replay":
        """A ring that begins with a dataset, which may be empty, no longer than it can ever get.

        ValueError if nothing else would fit, or a full ring would have nothing to sample.
        """
        if capacity <= len(data) or capacity < 2:
            raise ValueError(f"a buffer of {capacity} transitions has no room beside the dataset's {len(data)}")
        slots = min(capacity, len(data) + online_steps + 1)

        def extended(values: Tensor, length: int) -> Tensor:
            return torch.cat([values, values.new_zeros((length - len(values), *values.shape[1:]))])

        rows = len(data.observations)
        arrays = {name: extended(values, slots) for name, values in vars(data).items() if name != "observations"}
        observations = extended(data.observations, rows + 2 * min(online_steps, slots))
        return cls(DeviceTransitions(observations, **arrays), len(data), rows, samples_last=samples_last)

    @property
    def pointer(self) -> Tensor:
        """The slot that is written next, a number on the device."""
        return (self._offline + self.inserted) % len(self.transitions)

    @torch.no_grad()
    def insert(self, step: Batch) -> None:
        """Write one environment step, `PER_STEP` without a batch axis; it can be part of a recorded graph."""
        number = self.inserted[None]
        self._write(number, {name: step[name][None] for name in PER_STEP})
        self.inserted.add_(1)
        torch.clamp(self._offline + self.inserted, max=self._most, out=self.size)

    def _write(self, numbers: Tensor, steps: Batch) -> None:
        """Put the online transitions with these numbers, counted from 0, where they belong."""
        data = self.transitions
        slots = (self._offline + numbers) % len(data)
        rows = self._first_row + 2 * (numbers % self._row_pairs)
        data.observations.index_copy_(0, rows, steps["observations"])
        data.observations.index_copy_(0, rows + 1, steps["next_observations"])
        data.rows.index_copy_(0, slots, rows.to(data.rows.dtype))
        data.next_rows.index_copy_(0, slots, (rows + 1).to(data.next_rows.dtype))
        data.starts.index_copy_(0, slots, slots.to(data.starts.dtype))
        for name in ("actions", "rewards", "masks", "terminals"):
            getattr(data, name).index_copy_(0, slots, steps[name])

    def state_arrays(self) -> dict[str, np.ndarray]:
        """Host copies of the online transitions still in the ring, oldest first, and of their number so far."""
        data, inserted = self.transitions, int(self.inserted)
        alive = torch.arange(max(0, inserted - len(data)), inserted, device=data.rows.device)
        slots = (self._offline + alive) % len(data)
        online = {name: getattr(data, name)[slots] for name in ("actions", "rewards", "masks", "terminals")}
        online["observations"] = data.observations[data.rows[slots]]
        online["next_observations"] = data.observations[data.next_rows[slots]]
        return to_arrays(online | {"inserted": self.inserted})

    @torch.no_grad()
    def load_state_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Put the transitions of `state_arrays` into a ring that was made as the saved one had been."""
        device, inserted = self.transitions.rows.device, int(arrays["inserted"])
        alive = torch.arange(inserted - len(arrays["actions"]), inserted, device=device)
        self._write(alive, {name: torch.tensor(arrays[name]).to(device) for name in PER_STEP})
        self.inserted.fill_(inserted)
        self.size.fill_(min(self._offline + inserted, self._most))
