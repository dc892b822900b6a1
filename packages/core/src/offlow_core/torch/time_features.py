"""Times as sines and cosines."""

import math

import torch
from torch import Tensor


def time_features(times: Tensor, dim: int, *, cosines_first: bool = False) -> Tensor:
    """Sines, then cosines, of the times at dim/2 frequencies from 1 down to 1e-4, [...] -> [..., dim]."""
    exponents = torch.arange(dim // 2, device=times.device, dtype=times.dtype) / (dim // 2 - 1)
    angles = times[..., None] * torch.exp(-math.log(10_000) * exponents)
    parts = (angles.cos(), angles.sin()) if cosines_first else (angles.sin(), angles.cos())
    return torch.cat(parts, -1)
