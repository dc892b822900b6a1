"""Action chunks drawn from transitions on the device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch, DeviceTransitions, draw_below


@dataclass(frozen=True)
class ChunkSampler:
    """Uniform batches of `horizon` consecutive transitions in storage order, across the ends of trajectories."""

    horizon: int
    discount: float

    @property
    def least(self) -> int:
        """Transitions that there must be to draw from."""
        return self.horizon

    def sample(
        self, data: DeviceTransitions, generator: torch.Generator, batch_size: int, size: Tensor | None = None
    ) -> Batch:
        """`batch_size` chunks, drawn with replacement from all that lie within `data` or within its first `size`.

        `size`, a number on the device, must be at least the horizon, which nobody checks there.
        """
        if len(data) < self.horizon:
            raise ValueError(f"a chunk of {self.horizon} transitions cannot be drawn from {len(data)}")
        starts = (len(data) if size is None else size) - self.horizon + 1
        return self.gather(data, draw_below(starts, batch_size, generator))

    def gather(self, data: DeviceTransitions, starts: Tensor) -> Batch:
        """The chunks that begin with these transitions; equals `offlow_core.data.chunks.gather_chunks`.

        It lacks the fields that no loss reads, `full_observations` and `next_actions`.
        """
        steps = torch.arange(self.horizon, device=starts.device)
        index = starts[:, None] + steps
        ended = data.terminals[index].cummax(1).values
        # Sums in double precision, as in the reference, whose rounding to float32 they then share.
        discounted = data.rewards[index].double() * self.discount ** steps.double()
        return {
            "observations": data.observations[data.rows[starts]],
            "actions": data.actions[index],
            "rewards": discounted.cumsum(1).float(),
            "masks": data.masks[index].cummin(1).values,
            "terminals": ended,
            "valid": torch.cat([torch.ones_like(ended[:, :1]), 1 - ended[:, :-1]], 1),
            "next_observations": data.observations[data.next_rows[index]],
        }
