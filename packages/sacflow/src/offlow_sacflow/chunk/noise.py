"""Every random number of an update of the agents with chunks. B is the batch, A the size of a flat chunk."""

from typing import NamedTuple

import torch
from torch import Tensor

from offlow_core.torch.streams import make_generator
from offlow_sacflow.rollout import RolloutNoise


class CloningNoise(NamedTuple):
    """For flow matching: where the straight paths begin [B, A], and at which times they are looked at [B, 1]."""

    starts: Tensor
    times: Tensor


class AcfqlNoise(NamedTuple):
    """All draws of one update of QC-FQL and its relatives."""

    next_starts: Tensor
    """For next actions, [B, A]; for n candidates each, [B, n, A]."""
    cloning: CloningNoise
    actor_starts: Tensor | None
    """For the actor and the flow that it is to follow, [B, A]; None for the best of n, which has no actor."""


class FlowOnlineNoise(NamedTuple):
    """All draws of one update of a plain flow as it is made online."""

    next_starts: Tensor
    actor_starts: Tensor


class SacImitationNoise(NamedTuple):
    """All draws of one update of SAC Flow that imitates."""

    next_rollout: RolloutNoise
    cloning: CloningNoise


class SacOnlineNoise(NamedTuple):
    """All draws of one update of SAC Flow as it is made online."""

    next_rollout: RolloutNoise
    actor_rollout: RolloutNoise


class OfflineStepNoise(NamedTuple):
    """All draws of an offline step: an update that imitates, then one as it is made online."""

    imitation: AcfqlNoise | SacImitationNoise
    online: FlowOnlineNoise | SacOnlineNoise


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Standard normal draws on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device)


def draw_cloning_noise(generator: torch.Generator, rows: int, size: int) -> CloningNoise:
    """Fresh draws for flow matching."""
    times = torch.rand(rows, 1, generator=generator, device=generator.device)
    return CloningNoise(normal(generator, rows, size), times)


def draw_acfql_noise(generator: torch.Generator, rows: int, size: int, candidates: int | None = None) -> AcfqlNoise:
    """Fresh draws for an update with a one-step actor, or with so many candidates and none."""
    cloning = draw_cloning_noise(generator, rows, size)
    if candidates is not None:
        return AcfqlNoise(normal(generator, rows, candidates, size), cloning, None)
    next_starts, actor_starts = normal(generator, 2, rows, size)
    return AcfqlNoise(next_starts, cloning, actor_starts)


def draw_rollouts(
    generator: torch.Generator, count: int, steps: int, shape: tuple[int, int], fixed: Tensor | None
) -> list[RolloutNoise]:
    """Draws for so many rollouts of actions [B, A]; only for their starts where the steps' noise is `fixed`."""
    if fixed is not None:
        return [RolloutNoise(start, fixed) for start in normal(generator, count, *shape)]
    return [RolloutNoise.of(draws) for draws in normal(generator, count, 1 + steps, *shape)]


def fixed_steps(steps: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """The one array that all of so many steps share, [steps, *shape]: the same for equal shapes, whatever the seed."""
    draws = torch.randn(shape, generator=make_generator(0, "fixed rollout noise", torch.device("cpu")))
    return draws.to(device).expand(steps, *shape)
