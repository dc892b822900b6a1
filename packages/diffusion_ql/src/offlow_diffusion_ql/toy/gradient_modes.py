"""Diffusion chains of which only some steps' weights feel the critic."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from offlow_diffusion_ql.diffusion import Diffusion
from offlow_diffusion_ql.generative_policy import ChainNoise
from offlow_diffusion_ql.networks import PolicyNetwork
from offlow_diffusion_ql.toy.options import GradientMode

LAST_FEW = 5


class ChainPart(NamedTuple):
    """Which steps a chain takes, length - 1 down to 0, and in which of them the weights are trained."""

    length: int
    trained: range


def choose_part(mode: GradientMode, steps: int, random: np.random.Generator) -> ChainPart:
    """The part of a chain of `steps` that one update trains; see `ToyOptions.mode`."""
    if mode == "t_middle":
        t = int(random.integers(max(1, steps // 5)))
        return ChainPart(steps, range(t, t + 1))
    if mode == "t_last":
        return ChainPart(1 + int(random.integers(4 * steps // 5, steps)), range(1))
    return ChainPart(steps, range(min(LAST_FEW, steps) if mode == "last_few" else steps))


class PartlyTrainedDiffusion(Diffusion):
    """A diffusion whose samples have the gradient of some steps' weights only.

    A step after a trained one hands the gradient of its input on, but is constant itself.
    """

    def __init__(self, choose: Callable[[], ChainPart], **settings: Any):
        super().__init__(**settings)
        self._choose = choose

    def sample(self, network: PolicyNetwork, states: Tensor, noise: ChainNoise) -> Tensor:
        """Actions [..., A] at the end of the chosen part of the chain, which starts from noise.

        Leaves all parameters of the network trainable.
        """
        length, trained = self._choose()
        x = noise.start
        times = network.of_times(torch.arange(length, device=x.device, dtype=x.dtype))
        for i, t in enumerate(reversed(range(length))):
            network.requires_grad_(t in trained)
            embedded = (times[t], states) if t in trained else (times[t].detach(), states.detach())
            x = self.step(x, network(x, *embedded), t, noise.steps[i] if t > 0 else None)
        network.requires_grad_(True)
        return self.bounded(x)
