"""The velocity network that the others are compared with: a perceptron."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from offlow_core.torch.networks import Mlp
from offlow_sacflow.normalisation import Statistics
from offlow_sacflow.rollout import NoisyVelocity
from offlow_sacflow.scratch.batch_renorm import input_norm
from offlow_sacflow.scratch.config import NaiveConfig
from offlow_sacflow.scratch.velocity import bounded


class NaiveFlow(nn.Module):
    """Velocity and scale of the noise from [s; x; t].

    The time is the same in a whole batch, so that the normalisation of the inputs takes it away in train mode: the
    official network learns without it, and acts with it.
    """

    def __init__(self, observation_dim: int, action_dim: int, config: NaiveConfig):
        super().__init__()
        self.config, self.noise_factor, self.counts_scale = config, 1.0, True
        inputs = observation_dim + action_dim + 1
        self.norm = input_norm(config)(inputs)
        width = config.actor_hidden
        self.body = Mlp(inputs, [width], width, functional.relu)
        self.mean_head, self.log_std_head = (nn.utils.skip_init(nn.Linear, width, action_dim) for _ in range(2))

    def field(self, observations: Tensor, statistics: Statistics | None = None) -> NoisyVelocity:
        """The field for observations [B, S]; in train mode where there are statistics."""
        return partial(self._velocity, observations, statistics)

    def _velocity(
        self, observations: Tensor, statistics: Statistics | None, x: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        time = x.new_full((len(x), 1), step / self.config.denoising_steps)
        inputs = self.norm(torch.cat([observations, x, time], -1), statistics)
        hidden = functional.relu(self.body(inputs))
        low, high = self.config.log_std_min, self.config.log_std_max
        return self.mean_head(hidden), bounded(self.log_std_head(hidden), low, high)
