"""What layers of a network can be normalised by.

All of them are called with an input and the running statistics of the pass in progress. The statistics are None in eval
mode. In train mode they are a dictionary that starts empty: a layer that is called again reads what its last call has
left there. The layers themselves change only when somebody stores the dictionary.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor, nn

FLAX_EPS = 1e-6
"""Epsilon of layer normalisation in Flax."""


class Moments(NamedTuple):
    """Running statistics of one layer: mean and variance [..., features], and the number of calls [...]."""

    mean: Tensor
    var: Tensor
    steps: Tensor


class TrackingLayer(Protocol):
    """A layer with running statistics, which are among its buffers."""

    mean: Tensor
    var: Tensor
    steps: Tensor


Statistics = dict[TrackingLayer, Moments]
"""What a pass in train mode has made of the running statistics, by layer."""

MakeNorm = Callable[[int], nn.Module]
"""A normalisation of that many features."""


class RowNorm(nn.LayerNorm):
    """Layer normalisation as in Flax; it has no running statistics."""

    def __init__(self, features: int):
        super().__init__(features, eps=FLAX_EPS)

    def forward(self, input: Tensor, statistics: Statistics | None = None) -> Tensor:
        """[..., features] -> [..., features], each row by itself."""
        return super().forward(input)


class NoNorm(nn.Module):
    """The input as it is."""

    def forward(self, x: Tensor, statistics: Statistics | None = None) -> Tensor:
        """[..., features] -> [..., features]."""
        return x
