"""From noise to flat chunks of actions, one way per agent."""

from typing import NamedTuple

import torch
from torch import Tensor

from offlow_sacflow.chunk.networks import ChunkCritic, Field
from offlow_sacflow.rollout import RolloutNoise, euler_path, noisy_path, squash, step_times


class Draw(NamedTuple):
    """Actions [B, A] and their log-likelihoods [B]."""

    actions: Tensor
    log_probs: Tensor


def follow(field: Field, observations: Tensor, starts: Tensor, steps: int) -> Tensor:
    """Where a field leads to from its starts [B, A] in so many Euler steps, unbounded."""
    context = field.context(observations, step_times(steps, starts))
    return euler_path(lambda x, step: field(x, step, context), starts, steps)


def squashed_flow(field: Field, observations: Tensor, starts: Tensor, steps: int) -> Tensor:
    """The naive policy: `follow`, squashed."""
    return follow(field, observations, starts, steps).tanh()


def noisy_rollout(field: Field, observations: Tensor, noise: RolloutNoise, std: float) -> Draw:
    """SAC Flow's policy: a path with noise of this standard deviation at every step, squashed."""
    context = field.context(observations, step_times(len(noise.steps), noise.start))
    log_std = noise.start.new_full((), std).log()
    path = noisy_path(lambda x, step: (field(x, step, context), log_std), noise, noise_factor=1.0, counts_scale=True)
    return Draw(*squash(path.end, path.log_prob))


def best_of_candidates(
    field: Field, critic: ChunkCritic, observations: Tensor, starts: Tensor, steps: int, q_agg: str
) -> Tensor:
    """Of the actions that a field leads to from starts [B, n, A], clipped, the one that critics value most, [B, A]."""
    repeated = observations[:, None].expand(-1, starts.shape[1], -1)
    actions = follow(field, repeated.flatten(0, 1), starts.flatten(0, 1), steps).clamp(-1, 1).view_as(starts)
    best = aggregate(critic(repeated, actions), q_agg).argmax(1)
    return torch.take_along_dim(actions, best[:, None, None], 1).squeeze(1)


def aggregate(values: Tensor, q_agg: str) -> Tensor:
    """One value from those of all critics [critics, ...]: their mean or their least."""
    return values.mean(0) if q_agg == "mean" else values.amin(0)
