"""Transitions that live on the device, and batches drawn from them there."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from offlow_core.data.transitions import Transitions

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class DeviceTransitions:
    """`Transitions` as tensors; transition k goes from `observations[rows[k]]` to `observations[next_rows[k]]`.

    `starts[k]` is the first transition of its trajectory.
    """

    observations: Tensor
    rows: Tensor
    next_rows: Tensor
    starts: Tensor
    actions: Tensor
    rewards: Tensor
    masks: Tensor
    terminals: Tensor

    def __len__(self) -> int:
        return len(self.rows)


def to_device(transitions: Transitions, device: torch.device) -> DeviceTransitions:
    """Put a dataset on a device, once."""

    def put(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)

    return DeviceTransitions(
        observations=put(transitions.observations),
        rows=put(transitions.rows),
        next_rows=put(transitions.next_rows),
        starts=put(transitions.trajectory_starts()),
        actions=put(transitions.actions),
        rewards=put(transitions.rewards),
        masks=put(transitions.masks),
        terminals=put(transitions.terminals),
    )


def draw_below(limit: int | Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` integers, uniform over [0, limit), on the generator's device.

    A limit on the device may change from call to call of a recorded graph. Its numbers are the remainders of draws
    below 2^63, so that none is more likely than another by more than limit / 2^63.
    """
    largest = 2**63 - 1 if isinstance(limit, Tensor) else limit
    drawn = torch.randint(largest, (count,), generator=generator, device=generator.device)
    return drawn % limit if isinstance(limit, Tensor) else drawn


@dataclass(frozen=True)
class Sampler:
    """Uniform batches, with as many frames stacked into an observation as asked."""

    frame_stack: int = 1

    @property
    def least(self) -> int:
        """Transitions that there must be to draw from."""
        return 1

    def sample(
        self, data: DeviceTransitions, generator: torch.Generator, batch_size: int, size: Tensor | None = None
    ) -> Batch:
        """`batch_size` transitions, drawn with replacement; given `size`, a number on the device, from the first."""
        return self.gather(data, draw_below(len(data) if size is None else size, batch_size, generator))

    def gather(self, data: DeviceTransitions, indices: Tensor) -> Batch:
        """The batch of these transitions; equals `Transitions.gather`."""
        rows, next_rows = data.rows[indices], data.next_rows[indices]
        if self.frame_stack > 1:
            steps_back = torch.arange(self.frame_stack - 1, -1, -1, device=indices.device)
            frames = torch.maximum(indices[:, None] - steps_back, data.starts[indices][:, None])
            rows = data.rows[frames]
            next_rows = torch.cat([rows[:, 1:], next_rows[:, None]], 1)
        return {
            "observations": _frames(data.observations, rows),
            "actions": data.actions[indices],
            "rewards": data.rewards[indices],
            "masks": data.masks[indices],
            "next_observations": _frames(data.observations, next_rows),
        }


def _frames(observations: Tensor, rows: Tensor) -> Tensor:
    """Observations at rows [B], or those at rows [B, k] joined along their last axis."""
    if rows.dim() == 1:
        return observations.index_select(0, rows)
    return torch.cat([observations.index_select(0, column) for column in rows.unbind(1)], -1)
