"""The flow-matching policy: straight paths from noise to action (Lipman et al., 2023; Liu et al., 2023)."""

from typing import Literal

import torch
from torch import Tensor

from offlow_diffusion_ql.generative_policy import ChainNoise, CloningNoise
from offlow_diffusion_ql.networks import PolicyNetwork


class Flow:
    """Follows the network's velocity from x_0 ~ N(0, I) at time 0 to the action at time 1 in T Euler steps."""

    chain_draws = 1

    def __init__(self, steps: int, *, loss: Literal["l2_norm", "mse"], max_action: float):
        self._num_steps, self._loss, self._max_action = steps, loss, max_action

    def sample(self, network: PolicyNetwork, states: Tensor, noise: ChainNoise) -> Tensor:
        """Actions [..., A] within +-max_action, for `network.of_states` in a shape that fits.

        The times are exactly i / T; the official code steps a float and for some T takes a step too many.
        """
        x = noise.start
        times = network.of_times(torch.arange(self._num_steps, device=x.device, dtype=x.dtype) / self._num_steps)
        for time in times:
            x = x + network(x, time, states) / self._num_steps
        return x.clamp(-self._max_action, self._max_action)

    def cloning_loss(
        self, network: PolicyNetwork, observations: Tensor, actions: Tensor, noise: CloningNoise
    ) -> Tensor:
        """Mean over the batch of the distance of the predicted velocity from a - x_0 at t a + (1 - t) x_0.

        The distance is not squared, as in the fork, where it therefore has no gradient at exactly 0.
        """
        t = noise.t[:, None]
        velocity = network(t * actions + (1 - t) * noise.x, network.of_times(noise.t), network.of_states(observations))
        error = velocity - (actions - noise.x)
        return error.norm(dim=1).mean() if self._loss == "l2_norm" else error.square().mean()

    def draw_cloning_noise(self, generator: torch.Generator, shape: tuple[int, ...]) -> CloningNoise:
        """A uniform time and a standard normal start for each of a batch of actions [B, A]."""
        t = torch.rand(shape[0], generator=generator, device=generator.device)
        return CloningNoise(t, torch.randn(shape, generator=generator, device=generator.device))
