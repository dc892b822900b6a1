"""From noise to an action along a velocity field, with or without noise on the way."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
JACOBIAN_FLOOR = 1e-6
"""Added to the derivative of the squashing before its logarithm; it decides the result where tanh is saturated."""

NoisyVelocity = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""(x [B, A], step) -> velocity [B, A] and the logarithm of the noise's standard deviation, broadcastable to [B, A]."""
Velocity = Callable[[Tensor, int], Tensor]
"""(x [B, A], step) -> velocity [B, A]."""


def step_times(steps: int, like: Tensor) -> Tensor:
    """Times i / K of the steps of a rollout that all rows share, [K, 1]."""
    return torch.arange(steps, device=like.device, dtype=like.dtype)[:, None] / steps


class RolloutNoise(NamedTuple):
    """Standard normal draws for one action each: its start [B, A], and one per step [K, B, A]."""

    start: Tensor
    steps: Tensor

    @classmethod
    def of(cls, draws: Tensor) -> "RolloutNoise":
        """From draws [K + 1, B, A]."""
        return cls(draws[0], draws[1:])


class Path(NamedTuple):
    """A noisy rollout: where it ends [B, A], its log-likelihood [B], and what the field said at each of its K steps."""

    end: Tensor
    log_prob: Tensor
    velocities: list[Tensor]
    log_stds: list[Tensor]


def noisy_path(velocity: NoisyVelocity, noise: RolloutNoise, *, noise_factor: float, counts_scale: bool) -> Path:
    """x <- x + velocity / K + noise_factor * std * draw, K times.

    The log-likelihood is that of the start and of all K normal transitions. Without `counts_scale` it lacks the
    logarithms of their standard deviations: it is that of the draws.
    """
    x, steps = noise.start, len(noise.steps)
    log_prob = normal_log_density(noise.start) + normal_log_density(noise.steps).sum(0)
    velocities, log_stds = [], []
    for step in range(steps):
        u, log_std = velocity(x, step)
        x = x + u / steps + noise_factor * log_std.exp() * noise.steps[step]
        velocities.append(u)
        log_stds.append(log_std)
        if counts_scale:
            log_prob = log_prob - (log_std + math.log(noise_factor)).expand_as(x).sum(-1)
    return Path(x, log_prob, velocities, log_stds)


def euler_path(velocity: Velocity, start: Tensor, steps: int) -> Tensor:
    """x <- x + velocity / steps, that many times, from a start [B, A]."""
    x = start
    for step in range(steps):
        x = x + velocity(x, step) / steps
    return x


def normal_log_density(draws: Tensor) -> Tensor:
    """log N(draws; 0, I), [..., A] -> [...]."""
    return (-0.5 * draws.square() - HALF_LOG_TWO_PI).sum(-1)


def squash(
    x: Tensor, log_prob: Tensor, scale: Tensor | float = 1.0, offset: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """The action tanh(x) * scale + offset [B, A], and its log-likelihood [B] from that of x.

    The Jacobian is deliberately log(scale (1 - tanh^2) + 1e-6), which loses all digits beyond |x| = 6 or so: that is
    what the official networks were trained with.
    """
    squashed = torch.tanh(x)
    jacobian = torch.log(scale * (1 - squashed.square()) + JACOBIAN_FLOOR)
    return squashed * scale + offset, log_prob - jacobian.sum(-1)
