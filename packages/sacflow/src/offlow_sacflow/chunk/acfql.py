"""QC-FQL, QC (arXiv 2507.07969) and FQL (arXiv 2502.02538): one kind of update, offline and online alike."""

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch
from offlow_core.torch.learner import Metrics
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.config import AcfqlConfig
from offlow_sacflow.chunk.losses import Loss, acfql_loss
from offlow_sacflow.chunk.networks import MlpField, OneStepActor, imitating_flow
from offlow_sacflow.chunk.noise import AcfqlNoise, draw_acfql_noise
from offlow_sacflow.chunk.sampling import best_of_candidates


class Acfql(ChunkAgent[AcfqlConfig]):
    """A flow that imitates, and a one-step actor that is distilled from it and climbs the critics.

    The best of n acts with the flow itself; its one-step actor stays as it is, and is there because official
    checkpoints hold it.
    """

    def _make_actors(self, observation_dim: int) -> dict[str, MlpField | OneStepActor]:
        self.flow = imitating_flow(self.config, observation_dim, self.flat_dim)
        self.actor = OneStepActor(self.config, observation_dim, self.flat_dim)
        return {"flow": self.flow, "actor": self.actor}

    @property
    def _candidates(self) -> int | None:
        return self.config.actor_num_samples if self.config.actor_type == "best-of-n" else None

    def prepare(self, updates: int) -> None:
        """All updates are equal."""

    def draw_noise(self, generator: torch.Generator) -> AcfqlNoise:
        """Fresh draws for one update."""
        return draw_acfql_noise(generator, self.config.batch_size, self.flat_dim, self._candidates)

    def loss(self, batch: Batch, noise: AcfqlNoise) -> Loss:
        """What `update` minimises, with its parts."""
        return self._evaluate(acfql_loss, self.critics, self.flow, self.actor, batch, noise)

    def update(self, batch: Batch, noise: AcfqlNoise, variant: None = None) -> Metrics:
        """One step of all networks."""
        return self._minimise(*self.loss(batch, noise))

    @torch.no_grad()
    def losses(self, batch: Batch, noise: AcfqlNoise) -> Metrics:
        """The metrics of the losses, without an update."""
        return self._loss_metrics(self.loss(batch, noise)[1])

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Of the starts that one decision takes."""
        return (self.flat_dim,) if self._candidates is None else (self._candidates, self.flat_dim)

    def act(self, observations: Tensor, draws: Tensor) -> Tensor:
        """Flat actions for observations [B, S] from starts [B, A], or the best of those from [B, n, A]."""
        if self._candidates is None:
            return self.actor(observations, draws).clamp(-1, 1)
        config = self.config
        return best_of_candidates(
            self.flow, self.critics.constant, observations, draws, config.flow_steps, config.q_agg
        )
