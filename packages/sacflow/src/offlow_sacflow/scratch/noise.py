"""Every random number of an update."""

from typing import NamedTuple

import torch

from offlow_sacflow.rollout import RolloutNoise


class UpdateNoise(NamedTuple):
    """All draws of one update."""

    critic: RolloutNoise
    """Of the rollout to next actions."""
    actor: RolloutNoise
    """Of the policy's own rollout; unused where the policy stays."""


def draw_update_noise(generator: torch.Generator, steps: int, batch_size: int, action_dim: int) -> UpdateNoise:
    """Fresh draws for rollouts of so many steps, on the generator's device."""
    draws = torch.randn(2, steps + 1, batch_size, action_dim, generator=generator, device=generator.device)
    return UpdateNoise(RolloutNoise.of(draws[0]), RolloutNoise.of(draws[1]))
