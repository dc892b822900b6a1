"""Agents whose online update differs from the one that imitates; offline steps consist of both."""

from abc import abstractmethod
from typing import Any, Literal, TypeVar

import torch

from offlow_core.torch.device_data import Batch
from offlow_core.torch.learner import Metrics
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.config import ChunkNaiveConfig, SacFlowConfig
from offlow_sacflow.chunk.losses import Loss
from offlow_sacflow.chunk.noise import OfflineStepNoise

Stage = Literal["offline", "online"]
Config = TypeVar("Config", bound=ChunkNaiveConfig | SacFlowConfig)


class TwoUpdatesAgent(ChunkAgent[Config]):
    """Begins offline, where a step is an imitating and an online update on one batch, each with noise of its own."""

    def __init__(self, *arguments: Any, device: torch.device, **named: Any):
        super().__init__(*arguments, device=device, **named)
        # A tensor, so that it can change under compiled and recorded updates.
        self.weight = torch.tensor(self.config.alpha, device=device)
        self._stage: Stage = "offline"

    def begin_online(self) -> None:
        """From now on a step is one online update, with the online weight of the distance to the data's actions.

        No state holds this: whoever loads one that was saved online calls it, too.
        """
        self.weight.fill_(self.config.online_alpha)
        self._stage = "online"

    def prepare(self, updates: int) -> Stage:
        """Which kind of step comes next."""
        return self._stage

    def draw_noise(self, generator: torch.Generator) -> Any:
        """Fresh draws for one step."""
        if self._stage == "online":
            return self.draw_online_noise(generator)
        return OfflineStepNoise(self.draw_imitation_noise(generator), self.draw_online_noise(generator))

    def update(self, batch: Batch, noise: Any, stage: Stage) -> Metrics:
        """One step; of an offline one the metrics of its second update, and how well the first one imitates."""
        if stage == "online":
            return self.online_update(batch, noise)
        imitation = self.imitation_update(batch, noise.imitation)
        return self.online_update(batch, noise.online) | _bc_metric(imitation)

    @torch.no_grad()
    def losses(self, batch: Batch, noise: Any) -> Metrics:
        """The metrics of the losses of one step, without an update."""
        if self._stage == "online":
            return self._loss_metrics(self.online_loss(batch, noise)[1])
        imitation = self._loss_metrics(self.imitation_loss(batch, noise.imitation)[1])
        return self._loss_metrics(self.online_loss(batch, noise.online)[1]) | _bc_metric(imitation)

    def imitation_update(self, batch: Batch, noise: Any) -> Metrics:
        """One step of all networks: the critics learn, the actor imitates."""
        return self._minimise(*self.imitation_loss(batch, noise))

    def online_update(self, batch: Batch, noise: Any) -> Metrics:
        """One step of all networks: the critics learn, the actor climbs them and stays near the data's actions."""
        return self._minimise(*self.online_loss(batch, noise))

    @abstractmethod
    def imitation_loss(self, batch: Batch, noise: Any) -> Loss:
        """What `imitation_update` minimises, with its parts."""

    @abstractmethod
    def online_loss(self, batch: Batch, noise: Any) -> Loss:
        """What `online_update` minimises, with its parts."""

    @abstractmethod
    def draw_imitation_noise(self, generator: torch.Generator) -> Any:
        """Fresh draws for `imitation_update`."""

    @abstractmethod
    def draw_online_noise(self, generator: torch.Generator) -> Any:
        """Fresh draws for `online_update`."""


def _bc_metric(metrics: Metrics) -> Metrics:
    return {"actor/bc_flow_loss": metrics["actor/bc_flow_loss"]}
