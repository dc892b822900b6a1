"""A policy: a velocity network, and the range of the actions that its rollouts are squashed into."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from offlow_core.option_checks import OptionError
from offlow_core.torch.networks import init_lecun_normal
from offlow_sacflow.normalisation import Statistics
from offlow_sacflow.rollout import Path, RolloutNoise, noisy_path, squash
from offlow_sacflow.scratch.config import FlowGConfig, FlowTConfig, NaiveConfig, ScratchConfig
from offlow_sacflow.scratch.flow_g import FlowG
from offlow_sacflow.scratch.flow_t import FlowT
from offlow_sacflow.scratch.naive import NaiveFlow
from offlow_sacflow.scratch.velocity import VelocityNetwork

_NETWORKS: Mapping[type[ScratchConfig], Callable[..., FlowT | FlowG | NaiveFlow]] = {
    FlowTConfig: FlowT,
    FlowGConfig: FlowG,
    NaiveConfig: NaiveFlow,
}


class ActionRange(NamedTuple):
    """Actions lie in offset - scale to offset + scale, both [A]."""

    scale: Tensor
    offset: Tensor

    @classmethod
    def of(cls, space: gymnasium.spaces.Box, device: torch.device) -> "ActionRange":
        """The range of an environment's actions."""
        return cls.between(space.low, space.high, device)

    @classmethod
    def between(cls, low: np.ndarray, high: np.ndarray, device: torch.device) -> "ActionRange":
        """The range of a bounded action space; OptionError where there is none to squash into."""
        low, high = (np.asarray(bound, np.float64) for bound in (low, high))
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise OptionError(
                f"SAC Flow squashes its actions: it needs an action space with finite bounds, got {low} to {high}"
            )
        half, middle = (high - low) / 2, (high + low) / 2
        return cls(*(torch.tensor(values, dtype=torch.float32, device=device) for values in (half, middle)))


class Sample(NamedTuple):
    """Actions [B, A], their log-likelihoods [B], and the rollouts that they came from."""

    actions: Tensor
    log_probs: Tensor
    path: Path


@dataclass(frozen=True)
class FlowPolicy:
    """a ~ pi(a | s), along a noisy rollout."""

    network: VelocityNetwork
    action_range: ActionRange

    def sample(self, observations: Tensor, noise: RolloutNoise, statistics: Statistics | None = None) -> Sample:
        """Actions for observations [B, S]; with running statistics in train mode, else in eval mode."""
        network = self.network
        velocity = network.field(observations, statistics)
        path = noisy_path(velocity, noise, noise_factor=network.noise_factor, counts_scale=network.counts_scale)
        actions, log_probs = squash(path.end, path.log_prob, *self.action_range)
        return Sample(actions, log_probs, path)


def make_velocity_network(
    config: ScratchConfig, observation_dim: int, action_dim: int, generator: torch.Generator
) -> FlowT | FlowG | NaiveFlow:
    """The network of a configuration, initialised."""
    network = _NETWORKS[type(config)](observation_dim, action_dim, config)
    init_lecun_normal(network, generator)
    if isinstance(network, FlowG):
        network.open_gate()
    return network
