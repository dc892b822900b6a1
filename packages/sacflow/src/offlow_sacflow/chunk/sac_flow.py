"""SAC Flow from data, with a transformer or a gate (arXiv 2509.25756): one velocity field that imitates and climbs."""

from typing import Any

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch
from offlow_core.torch.learner import Metrics
from offlow_core.torch.state_arrays import joined
from offlow_sacflow.chunk.config import ChunkFlowGConfig, ChunkFlowTConfig
from offlow_sacflow.chunk.entropy_weight import EntropyWeight
from offlow_sacflow.chunk.losses import Loss, Parts, sac_imitation_loss, sac_online_loss
from offlow_sacflow.chunk.networks import Field, GatedField, TokenField
from offlow_sacflow.chunk.noise import SacImitationNoise, SacOnlineNoise, draw_cloning_noise, draw_rollouts, fixed_steps
from offlow_sacflow.chunk.sampling import noisy_rollout
from offlow_sacflow.chunk.two_updates import TwoUpdatesAgent
from offlow_sacflow.rollout import RolloutNoise


class ChunkSacFlow(TwoUpdatesAgent[ChunkFlowTConfig | ChunkFlowGConfig]):
    """SAC Flow-T or SAC Flow-G, as the configuration says."""

    loss_names = (
        *TwoUpdatesAgent.loss_names,
        *("actor/q_loss", "actor/actor_entropy", "alpha/alpha_loss", "alpha/alpha_value"),
    )

    def __init__(self, *arguments: Any, device: torch.device, **named: Any):
        super().__init__(*arguments, device=device, **named)
        self.entropy_weight = EntropyWeight(self.config, device)
        self._fixed_training = self._fixed_steps(self.config.batch_size, self.flat_dim)
        self._fixed_acting = self._fixed_steps(self.flat_dim)

    def _make_actors(self, observation_dim: int) -> dict[str, Field]:
        config, sizes = self.config, (observation_dim, self.flat_dim)
        self.field = TokenField(config, *sizes) if isinstance(config, ChunkFlowTConfig) else GatedField(config, *sizes)
        return {"field": self.field}

    def _fixed_steps(self, *shape: int) -> Tensor | None:
        """The noise of all steps of a rollout, where it is the same in all of them."""
        if self.config.rollout_noise == "fresh":
            return None
        return fixed_steps(self.config.denoising_steps, shape, self.device)

    def draw_imitation_noise(self, generator: torch.Generator) -> SacImitationNoise:
        """Fresh draws for `imitation_update`."""
        return SacImitationNoise(
            *self._draw_rollouts(generator, 1), draw_cloning_noise(generator, self.config.batch_size, self.flat_dim)
        )

    def draw_online_noise(self, generator: torch.Generator) -> SacOnlineNoise:
        """Fresh draws for `online_update`."""
        return SacOnlineNoise(*self._draw_rollouts(generator, 2))

    def _draw_rollouts(self, generator: torch.Generator, count: int) -> list[RolloutNoise]:
        shape = self.config.batch_size, self.flat_dim
        return draw_rollouts(generator, count, self.config.denoising_steps, shape, self._fixed_training)

    def imitation_loss(self, batch: Batch, noise: SacImitationNoise) -> Loss:
        """What `imitation_update` minimises, with its parts."""
        return self._evaluate(sac_imitation_loss, self.critics, self.field, self.entropy_weight.value, batch, noise)

    def online_loss(self, batch: Batch, noise: SacOnlineNoise) -> Loss:
        """What `online_update` minimises, with its parts."""
        weights = self.entropy_weight.value, self.weight
        return self._evaluate(sac_online_loss, self.critics, self.field, *weights, batch, noise)

    def _minimise(self, loss: Tensor, parts: Parts) -> Metrics:
        """A step of the entropy's weight besides; an imitating update counts an entropy of 0.

        With a target of 0 its gradient is 0 then, too, and what is left is the momentum of Adam.
        """
        metrics = super()._minimise(loss, parts)
        self.entropy_weight.step(metrics["alpha/alpha_loss"])
        return metrics

    def _loss_metrics(self, parts: Parts) -> Metrics:
        return super()._loss_metrics(parts | self.entropy_weight.metrics(-parts["actor/actor_entropy"]))

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name."""
        return super().state() | joined({"entropy_weight": self.entropy_weight.state()})

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Of the start and of the steps' fresh noise that one decision takes."""
        fresh_steps = self.config.denoising_steps if self._fixed_acting is None else 0
        return (1 + fresh_steps, self.flat_dim)

    def act(self, observations: Tensor, draws: Tensor) -> Tensor:
        """Flat actions for observations [B, S] from draws [B, 1 + fresh steps, A]."""
        start, *steps = draws.unbind(1)
        if self._fixed_acting is None:
            noise = RolloutNoise(start, torch.stack(steps))
        else:
            noise = RolloutNoise(start, self._fixed_acting[:, None].expand(-1, *start.shape))
        return noisy_rollout(self.field, observations, noise, self.config.inference_noise_std).actions
