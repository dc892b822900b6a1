"""The flow without noise on its way that SAC Flow is compared with: deterministic but for where it starts."""

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch
from offlow_sacflow.chunk.config import ChunkNaiveConfig
from offlow_sacflow.chunk.losses import Loss, naive_imitation_loss, naive_online_loss
from offlow_sacflow.chunk.networks import MlpField, imitating_flow
from offlow_sacflow.chunk.noise import AcfqlNoise, FlowOnlineNoise, draw_acfql_noise, normal
from offlow_sacflow.chunk.sampling import squashed_flow
from offlow_sacflow.chunk.two_updates import TwoUpdatesAgent


class ChunkNaive(TwoUpdatesAgent[ChunkNaiveConfig]):
    """A flow that imitates, and another one that is distilled from it and climbs the critics through its Euler steps.

    Online the first has no gradient; what momentum it has still moves it.
    """

    def _make_actors(self, observation_dim: int) -> dict[str, MlpField]:
        self.flow = imitating_flow(self.config, observation_dim, self.flat_dim)
        self.actor = MlpField(self.config, observation_dim, self.flat_dim)
        return {"flow": self.flow, "actor": self.actor}

    def draw_imitation_noise(self, generator: torch.Generator) -> AcfqlNoise:
        """Fresh draws for `imitation_update`."""
        return draw_acfql_noise(generator, self.config.batch_size, self.flat_dim)

    def draw_online_noise(self, generator: torch.Generator) -> FlowOnlineNoise:
        """Fresh draws for `online_update`."""
        return FlowOnlineNoise(*normal(generator, 2, self.config.batch_size, self.flat_dim))

    def imitation_loss(self, batch: Batch, noise: AcfqlNoise) -> Loss:
        """What `imitation_update` minimises, with its parts."""
        return self._evaluate(naive_imitation_loss, self.critics, self.flow, self.actor, self.weight, batch, noise)

    def online_loss(self, batch: Batch, noise: FlowOnlineNoise) -> Loss:
        """What `online_update` minimises, with its parts."""
        return self._evaluate(naive_online_loss, self.critics, self.actor, self.weight, batch, noise)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Of the start that one decision takes."""
        return (self.flat_dim,)

    def act(self, observations: Tensor, draws: Tensor) -> Tensor:
        """Flat actions for observations [B, S] from starts [B, A]."""
        return squashed_flow(self.actor, observations, draws, self.config.flow_one_step)
