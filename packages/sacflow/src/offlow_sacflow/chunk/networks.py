"""Critics of action chunks and the velocity fields that make them. A chunk is flat: its actions one after another."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from offlow_core.torch.activations import gelu
from offlow_core.torch.networks import Mlp, init_lecun_normal, init_xavier_uniform
from offlow_core.torch.time_features import time_features
from offlow_sacflow.chunk.config import AcfqlConfig, ChunkConfig, ChunkFlowGConfig, ChunkFlowTConfig
from offlow_sacflow.gate import open_gate
from offlow_sacflow.normalisation import FLAX_EPS, RowNorm
from offlow_sacflow.transformer import TokenContext, TokenDecoder


class ChunkCritic(nn.Module):
    """Independent values of (s, a), evaluated as one."""

    def __init__(self, config: ChunkConfig, observation_dim: int, action_dim: int):
        super().__init__()
        self.values = Mlp(
            observation_dim + action_dim,
            config.value_hidden_dims,
            1,
            gelu,
            members=config.num_qs,
            norm_eps=FLAX_EPS if config.layer_norm else None,
        )

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """[..., S], [..., A] -> [critics, ...]."""
        inputs = torch.cat([observations, actions], -1)
        return self.values(inputs.flatten(0, -2)).unflatten(1, inputs.shape[:-1]).squeeze(-1)

    def init(self, generator: torch.Generator) -> None:
        """Fill the weights."""
        init_xavier_uniform(self, generator)


class OneStepActor(nn.Module):
    """From noise to an action at once; nothing bounds it."""

    def __init__(self, config: AcfqlConfig, observation_dim: int, action_dim: int):
        super().__init__()
        self.mlp = _actor_mlp(config, observation_dim + action_dim, action_dim)

    def forward(self, observations: Tensor, noise: Tensor) -> Tensor:
        """[B, S], [B, A] -> [B, A]."""
        return self.mlp(torch.cat([observations, noise], -1))

    def init(self, generator: torch.Generator) -> None:
        """Fill the weights."""
        init_xavier_uniform(self, generator)


class MlpContext(NamedTuple):
    """What stays the same along a rollout: observations [B, S], and features of the K times, [K, T] or [K, B, T]."""

    observations: Tensor
    times: Tensor


class MlpField(nn.Module):
    """Velocity v(s, x, t): an MLP on [s, x, t], or on cosines and sines of t."""

    def __init__(
        self,
        config: AcfqlConfig | ChunkFlowGConfig,
        observation_dim: int,
        action_dim: int,
        fourier_dim: int | None = None,
    ):
        super().__init__()
        self.inputs = observation_dim + action_dim + (fourier_dim or 1)
        self.mlp = _actor_mlp(config, self.inputs, action_dim)
        self._fourier_dim = fourier_dim

    def context(self, observations: Tensor, times: Tensor) -> MlpContext:
        """For observations [B, S] and the times of K steps, shared [K, 1] or each row's own [K, B, 1]."""
        features = (
            times
            if self._fourier_dim is None
            else time_features(times.squeeze(-1), self._fourier_dim, cosines_first=True)
        )
        return MlpContext(observations, features)

    def forward(self, x: Tensor, step: int, context: MlpContext) -> Tensor:
        """[B, A] -> [B, A]."""
        return self.mlp(self._join(x, step, context))

    def _join(self, x: Tensor, step: int, context: MlpContext) -> Tensor:
        times = context.times[step]
        return torch.cat([context.observations, x, times.expand(*x.shape[:-1], times.shape[-1])], -1)

    def init(self, generator: torch.Generator) -> None:
        """Fill the weights."""
        init_xavier_uniform(self, generator)


class GatedField(MlpField):
    """Flow-G: z (v - x), z being what a gate lets through."""

    def __init__(self, config: ChunkFlowGConfig, observation_dim: int, action_dim: int):
        super().__init__(config, observation_dim, action_dim)
        self.gate = Mlp(self.inputs, [config.gate_hidden], action_dim, functional.silu)

    def forward(self, x: Tensor, step: int, context: MlpContext) -> Tensor:
        """[B, A] -> [B, A]."""
        inputs = self._join(x, step, context)
        return torch.sigmoid(self.gate(inputs)) * (self.mlp(inputs) - x)

    def init(self, generator: torch.Generator) -> None:
        """Fill the weights."""
        init_xavier_uniform(self.mlp, generator)
        first, last = self.gate.layers
        init_lecun_normal(first, generator)
        open_gate(last.weight, last.bias)


class TokenField(nn.Module):
    """Flow-T: a transformer decoder, normalised row by row, of the action as one token."""

    def __init__(self, config: ChunkFlowTConfig, observation_dim: int, action_dim: int):
        super().__init__()
        self.width, layers = config.transformer_d_model, config.transformer_n_layers
        self.decoder = TokenDecoder(observation_dim, action_dim, self.width, layers, RowNorm)
        self.velocity = nn.utils.skip_init(nn.Linear, self.width, action_dim)

    def context(self, observations: Tensor, times: Tensor) -> TokenContext:
        """For observations [B, S] and the times of K steps, shared [K, 1] or each row's own [K, B, 1]."""
        return self.decoder.context(observations, times)

    def forward(self, x: Tensor, step: int, context: TokenContext) -> Tensor:
        """[B, A] -> [B, A]."""
        return self.velocity(self.decoder(x, step, context))

    def init(self, generator: torch.Generator) -> None:
        """Fill the weights."""
        init_lecun_normal(self, generator)


Field = MlpField | TokenField


def imitating_flow(config: AcfqlConfig, observation_dim: int, action_dim: int) -> MlpField:
    """The flow that imitates the data, the only network that may see features of the time."""
    fourier_dim = config.fourier_feature_dim if config.use_fourier_features else None
    return MlpField(config, observation_dim, action_dim, fourier_dim)


def _actor_mlp(config: AcfqlConfig | ChunkFlowGConfig, inputs: int, outputs: int) -> Mlp:
    norm_eps = FLAX_EPS if config.actor_layer_norm else None
    return Mlp(inputs, config.actor_hidden_dims, outputs, gelu, norm_eps=norm_eps)
