"""A state of tensors as named host arrays, and back: what checkpoints hold."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from offlow_core.training.saved_arrays import check_arrays


def joined(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of several parts of an agent under `part/name`."""
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def to_arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Host copies of all tensors, by name."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}


@torch.no_grad()
def load_arrays(state: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray]) -> None:
    """Fill the tensors in place; arrays of other names, shapes or types are a ValueError that says which."""
    expected = to_arrays(state)
    check_arrays(arrays, {name: (array.dtype, array.shape) for name, array in expected.items()})
    for name, tensor in state.items():
        tensor.copy_(torch.tensor(arrays[name]))
