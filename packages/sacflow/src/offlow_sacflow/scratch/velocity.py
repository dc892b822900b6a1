"""What the three velocity networks have in common."""

from typing import Protocol

import torch
from torch import Tensor

from offlow_sacflow.normalisation import Statistics
from offlow_sacflow.rollout import NoisyVelocity


class VelocityNetwork(Protocol):
    """A velocity field with noise of a learned scale, given observations."""

    noise_factor: float
    """What the noise of a step is multiplied by, beside its scale."""
    counts_scale: bool
    """Whether the likelihood of a rollout knows of the scales."""

    def field(self, observations: Tensor, statistics: Statistics | None = None) -> NoisyVelocity:
        """The field for observations [B, S]; in train mode where there are statistics."""
        ...


def bounded(raw: Tensor, low: float, high: float) -> Tensor:
    """Any number as one between the bounds, by a hyperbolic tangent."""
    return low + 0.5 * (high - low) * (torch.tanh(raw) + 1)
