"""Multilayer perceptrons, single ones and ensembles that are evaluated as one."""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]


class EnsembleLinear(nn.Module):
    """`members` independent linear maps, evaluated as one batched product; weight [members, inputs, outputs]."""

    def __init__(self, members: int, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[members, B, inputs], or [B, inputs] for all members -> [members, B, outputs]."""
        if x.dim() == 2:
            x = x.expand(len(self.weight), *x.shape)
        return torch.baddbmm(self.bias[:, None], x, self.weight)


class Mlp(nn.Module):
    """Linear layers with an activation between them; `members` of them side by side, or a single one for None."""

    def __init__(
        self, inputs: int, hidden_dims: Sequence[int], outputs: int, activation: Activation, members: int | None = None
    ):
        super().__init__()
        widths = pairwise([inputs, *hidden_dims, outputs])
        if members is None:
            layers = [nn.utils.skip_init(nn.Linear, n, m) for n, m in widths]
        else:
            layers = [EnsembleLinear(members, n, m) for n, m in widths]
        self.layers = nn.ModuleList(layers)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] -> [B, outputs], with a leading axis of members for an ensemble."""
        return self.after_first(self.layers[0](x))

    def after_first(self, x: Tensor) -> Tensor:
        """What follows the first linear layer: its values [..., hidden] -> [..., outputs]."""
        for layer in self.layers[1:]:
            x = layer(self._activation(x))
        return x


def frozen_copy(network: nn.Module) -> nn.Module:
    """An equal network without gradients: a target or an average at its start."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def init_uniform(module: nn.Module, generator: torch.Generator) -> None:
    """Fill every linear layer's weight and bias from U(-1/sqrt(n), 1/sqrt(n)), n inputs: PyTorch's default."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | EnsembleLinear):
            inputs = layer.weight.shape[-1 if isinstance(layer, nn.Linear) else -2]
            bound = 1 / math.sqrt(inputs)
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
