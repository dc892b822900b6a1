"""What the agents with chunks share: critics, their targets, and one optimizer for critics and actors alike."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from offlow_core.evaluation import Policy
from offlow_core.torch.agent import Metrics, TorchAgent
from offlow_core.torch.networks import constant_view, frozen_copy
from offlow_core.torch.optimizers import ClippedAdam, move_towards
from offlow_core.torch.state_arrays import joined
from offlow_core.torch.streams import make_generator
from offlow_core.torch.updates import compiled_if
from offlow_sacflow.chunk.acting import chunk_policy
from offlow_sacflow.chunk.config import ChunkConfig
from offlow_sacflow.chunk.losses import Critics, Loss, Parts
from offlow_sacflow.chunk.networks import ChunkCritic, Field, OneStepActor

CRITIC_METRICS = ("critic/critic_loss", "critic/q_mean", "critic/q_max", "critic/q_min")
GRADIENT_METRICS = ("grad/max", "grad/min", "grad/norm")
Config = TypeVar("Config", bound=ChunkConfig)


class ChunkAgent(TorchAgent, ABC, Generic[Config]):
    """One seed; its networks are updated in place."""

    loss_names: Sequence[str] = ("actor/actor_loss", "actor/bc_flow_loss", "actor/distill_loss")
    """Metrics of the actor's losses; those that an update does not compute are 0 in it, as in the official logs."""

    def __init__(
        self,
        config: Config,
        observation_dim: int,
        action_dim: int,
        *,
        seed: int,
        device: torch.device,
        compiled: bool = False,
    ):
        self.config, self.device = config, device
        self.action_shape = (config.horizon_length, action_dim) if config.action_chunking else (action_dim,)
        self.flat_dim = math.prod(self.action_shape)
        critic, actors = ChunkCritic(config, observation_dim, self.flat_dim), self._make_actors(observation_dim)
        self.networks = nn.ModuleDict({"critic": critic, **actors})
        generator = make_generator(seed, "init", torch.device("cpu"))  # equal networks on every device
        for network in (critic, *actors.values()):
            network.init(generator)
        self.networks.to(device)
        self.critics = Critics(critic, constant_view(critic), frozen_copy(critic))
        self._parameters = list(self.networks.parameters())
        self._adam = ClippedAdam(self._parameters, config.lr, weight_decay=config.weight_decay)
        self._compiled = cache(partial(compiled_if, compiled))

    @abstractmethod
    def _make_actors(self, observation_dim: int) -> Mapping[str, Field | OneStepActor]:
        """The networks beside the critics, for flat actions, by name; the constructor initialises them."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What `update` reports."""
        return (*CRITIC_METRICS, *self.loss_names, *GRADIENT_METRICS)

    def _evaluate(self, loss: Callable[..., Loss], *arguments: Any) -> Loss:
        """A loss, by a compiled program where that is wanted, unless it is only looked at."""
        return (self._compiled(loss) if torch.is_grad_enabled() else loss)(*arguments, self.config)

    def gradients(self, loss: Tensor) -> dict[str, Tensor]:
        """Of all networks, by name; zeros for what the loss does not depend on, which Adam's momentum still moves."""
        gradients = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        return dict(zip((name for name, _ in self.networks.named_parameters()), gradients, strict=True))

    def _minimise(self, loss: Tensor, parts: Parts) -> Metrics:
        """One step of all networks. The targets move first, towards the critics before it: the official order."""
        gradients = list(self.gradients(loss).values())
        metrics = self._loss_metrics(parts) | gradient_metrics(gradients)
        move_towards(self.critics.target, self.critics.trained, self.config.tau)
        self._adam.step(gradients)
        return metrics

    def _loss_metrics(self, parts: Parts) -> Metrics:
        absent = torch.zeros((), device=self.device)
        return {name: parts.get(name, absent) for name in (*CRITIC_METRICS, *self.loss_names)}

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name."""
        networks = {name: network.state_dict() for name, network in self.networks.items()}
        return joined({**networks, "critic_target": self.critics.target.state_dict(), "adam": self._adam.state()})

    def policy(self) -> Policy:
        """Acts as in training: one chunk [h, A] per observation and call, or one action [A] without chunks."""
        return chunk_policy(self.act, self.noise_shape, self.action_shape, self.device)

    @property
    @abstractmethod
    def noise_shape(self) -> tuple[int, ...]:
        """Of the draws that one decision takes."""

    @abstractmethod
    def act(self, observations: Tensor, draws: Tensor) -> Tensor:
        """Flat actions for observations [B, S] from standard normal draws [B, *noise_shape]."""


def gradient_metrics(gradients: list[Tensor]) -> Metrics:
    """The greatest and the least entry of all gradients, and the sum of their norms."""
    least, greatest = (torch.stack(found) for found in zip(*map(torch.aminmax, gradients), strict=True))
    norms = torch.stack(torch._foreach_norm(gradients))
    return {"grad/max": greatest.amax(), "grad/min": least.amin(), "grad/norm": norms.sum()}
