"""What the losses ask of a policy that turns noise into actions, whichever way it does so."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from offlow_diffusion_ql.networks import PolicyNetwork


class ChainNoise(NamedTuple):
    """Draws for one action each: where the chain starts [..., A], and one further draw per step [steps, ..., A].

    Steps are in the order in which they are taken; a last one that adds no noise may lack its draw.
    """

    start: Tensor
    steps: Tensor

    @classmethod
    def of(cls, draws: Tensor) -> "ChainNoise":
        """From normal numbers [chain_draws, ..., A]."""
        return cls(draws[0], draws[1:])


class CloningNoise(NamedTuple):
    """Draws for the imitation loss: a time [B] per sample, and the noise [B, A] that its action is mixed with."""

    t: Tensor
    x: Tensor


class GenerativePolicy(Protocol):
    """A family of policies a ~ p(a | s); a network makes it one of them."""

    chain_draws: int
    """Normal numbers that one action dimension needs."""

    def sample(self, network: PolicyNetwork, states: Tensor, noise: ChainNoise) -> Tensor:
        """Actions [..., A] within their bound, for `network.of_states` in a shape that fits."""
        ...

    def cloning_loss(
        self, network: PolicyNetwork, observations: Tensor, actions: Tensor, noise: CloningNoise
    ) -> Tensor:
        """The imitation loss, a scalar."""
        ...

    def draw_cloning_noise(self, generator: torch.Generator, shape: tuple[int, ...]) -> CloningNoise:
        """Fresh draws for a batch of actions [B, A]."""
        ...
