"""Flow-G: the velocity moves the flow state towards a candidate as far as a gate lets it."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from offlow_core.torch.networks import Mlp
from offlow_core.torch.time_features import time_features
from offlow_sacflow.gate import open_gate
from offlow_sacflow.normalisation import Statistics
from offlow_sacflow.rollout import NoisyVelocity
from offlow_sacflow.scratch.batch_renorm import input_norm
from offlow_sacflow.scratch.config import FlowGConfig
from offlow_sacflow.scratch.velocity import bounded

GATE, CANDIDATE = 0, 1
"""Members of the network that both are computed by."""


class _Context(NamedTuple):
    """What the steps of a rollout share; the first layer's bias at each time [2, K, width], and its other weights."""

    observations: Tensor
    time_biases: Tensor
    weight: Tensor
    log_std: Tensor


class FlowG(nn.Module):
    """u = z * (c - x), gate z and candidate c from [norm [s; x]; time]; the noise's scale depends on s alone."""

    _time_features: Tensor

    def __init__(self, observation_dim: int, action_dim: int, config: FlowGConfig):
        super().__init__()
        self.config, self.noise_factor, self.counts_scale = config, 1.0, True
        inputs, time_dim = observation_dim + action_dim, config.time_emb_dim
        self.norm = input_norm(config)(inputs)
        self.time = Mlp(time_dim, [2 * time_dim], time_dim, functional.silu)
        self.gate_and_candidate = Mlp(inputs + time_dim, [config.gate_hidden], action_dim, functional.silu, members=2)
        self.log_std = Mlp(observation_dim, [config.logstd_hidden] * 2, action_dim, functional.relu)
        times = torch.arange(config.denoising_steps) / config.denoising_steps
        self.register_buffer("_time_features", time_features(times, time_dim), persistent=False)
        self._split = [inputs, time_dim]

    def open_gate(self) -> None:
        """Start with a gate that is nearly open, whatever its input."""
        last = self.gate_and_candidate.layers[-1]
        open_gate(last.weight[GATE], last.bias[GATE])

    def field(self, observations: Tensor, statistics: Statistics | None = None) -> NoisyVelocity:
        """The field for observations [B, S]; in train mode where there are statistics."""
        first = self.gate_and_candidate.layers[0]
        of_input, of_time = first.weight.split(self._split, 1)
        biases = first.bias[:, None] + self.time(self._time_features) @ of_time
        log_std = bounded(self.log_std(observations), self.config.log_std_min, self.config.log_std_max)
        return partial(self._velocity, _Context(observations, biases, of_input, log_std), statistics)

    def _velocity(
        self, context: _Context, statistics: Statistics | None, x: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        inputs = self.norm(torch.cat([context.observations, x], -1), statistics)
        first = torch.baddbmm(context.time_biases[:, step, None], inputs.expand(2, *inputs.shape), context.weight)
        outputs = self.gate_and_candidate.after_first(first)
        return torch.sigmoid(outputs[GATE]) * (outputs[CANDIDATE] - x), context.log_std
