"""Multilayer perceptrons, single ones and ensembles that are evaluated as one."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Callable[[Tensor], Tensor]
Network = TypeVar("Network", bound=nn.Module)


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


class EnsembleLayerNorm(nn.Module):
    """Layer normalisation over the last axis with a scale and an offset per member, [members, width] each."""

    def __init__(self, members: int, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, width))
        self.bias = nn.Parameter(torch.zeros(members, width))
        self._eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[members, B, width] -> the same shape."""
        normalised = functional.layer_norm(x, x.shape[-1:], eps=self._eps)
        return torch.addcmul(self.bias[:, None], normalised, self.weight[:, None])


class Mlp(nn.Module):
    """Linear layers with an activation between them; `members` of them side by side, or a single one for None.

    With `norm_eps`, layer normalisation with that epsilon follows every activation.
    """

    def __init__(
        self,
        inputs: int,
        hidden_dims: Sequence[int],
        outputs: int,
        activation: Activation,
        members: int | None = None,
        norm_eps: float | None = None,
    ):
        super().__init__()
        widths = pairwise([inputs, *hidden_dims, outputs])
        if members is None:
            layers = [nn.utils.skip_init(nn.Linear, n, m) for n, m in widths]
        else:
            layers = [EnsembleLinear(members, n, m) for n, m in widths]
        self.layers = cast(Sequence[nn.Linear | EnsembleLinear], nn.ModuleList(layers))
        self.norms = nn.ModuleList()
        if norm_eps is not None:
            self.norms.extend(_layer_norm(width, norm_eps, members) for width in hidden_dims)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] -> [B, outputs], with a leading axis of members for an ensemble."""
        return self.after_first(self.layers[0](x))

    def after_first(self, x: Tensor) -> Tensor:
        """What follows the first linear layer: its values [..., hidden] -> [..., outputs]."""
        for i, layer in enumerate(self.layers[1:]):
            x = self._activation(x)
            x = layer(self.norms[i](x) if self.norms else x)
        return x


def _layer_norm(width: int, eps: float, members: int | None) -> nn.Module:
    return nn.LayerNorm(width, eps) if members is None else EnsembleLayerNorm(members, width, eps)


def frozen_copy(network: Network) -> Network:
    """An equal network without gradients: a target or an average at its start."""
    return copy.deepcopy(network).requires_grad_(False)


def constant_view(network: Network) -> Network:
    """The same network without gradients: its parameters and buffers are those of the other one, at any time."""
    shared = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in network.parameters()}
    return copy.deepcopy(network, shared | {id(buffer): buffer for buffer in network.buffers()})


@torch.no_grad()
def init_uniform(module: nn.Module, generator: torch.Generator) -> None:
    """Fill every linear layer's weight and bias from U(-1/sqrt(n), 1/sqrt(n)), n inputs: PyTorch's default."""
    for layer, inputs, _ in _linear_layers(module):
        bound = 1 / math.sqrt(inputs)
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def init_xavier_uniform(module: nn.Module, generator: torch.Generator) -> None:
    """Fill every linear layer's weight from U(-b, b), b^2 = 6 / (inputs + outputs), each member's alike; biases 0."""
    for layer, inputs, outputs in _linear_layers(module):
        bound = math.sqrt(6 / (inputs + outputs))
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()


@torch.no_grad()
def init_lecun_normal(module: nn.Module, generator: torch.Generator) -> None:
    """Fill every linear layer's weight from a normal cut off at two standard deviations; biases 0: Flax's default.

    After the cut its variance is 1 / inputs.
    """
    for layer, inputs, _ in _linear_layers(module):
        std = 1 / math.sqrt(inputs) / STD_OF_CUT_NORMAL
        nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        layer.bias.zero_()


STD_OF_CUT_NORMAL = 0.87962566103423978
"""Standard deviation of a standard normal cut off at -2 and 2."""


def _linear_layers(module: nn.Module) -> Iterator[tuple[nn.Linear | EnsembleLinear, int, int]]:
    """All linear layers with the numbers of their inputs and outputs."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            yield layer, layer.in_features, layer.out_features
        elif isinstance(layer, EnsembleLinear):
            _, inputs, outputs = layer.weight.shape
            yield layer, inputs, outputs
