"""The weight of the entropy in SAC Flow, learned or not."""

import math

import torch
from torch import Tensor, nn

from offlow_core.torch.learner import Metrics
from offlow_core.torch.optimizers import ClippedAdam
from offlow_sacflow.chunk.config import SacFlowConfig
from offlow_sacflow.chunk.losses import entropy_loss


class EntropyWeight:
    """A number whose logarithm has an optimizer of its own if it is learned; only one that is not can be 0."""

    def __init__(self, config: SacFlowConfig, device: torch.device):
        self._config = config
        log = math.log(config.sac_alpha) if config.sac_alpha > 0 else -math.inf
        self.log = nn.Parameter(torch.tensor(log, device=device))
        self._adam = ClippedAdam([self.log], config.alpha_lr) if config.autotune_alpha else None

    @property
    def value(self) -> Tensor:
        """The weight, as a constant."""
        return self.log.detach().exp()

    def metrics(self, log_prob: Tensor) -> Metrics:
        """The weight and its loss for a mean log-likelihood of rollouts; a weight that is not learned has none."""
        value = self.value
        loss = torch.zeros_like(value) if self._adam is None else entropy_loss(value, log_prob, self._config)
        return {"alpha/alpha_value": value, "alpha/alpha_loss": loss}

    def step(self, loss: Tensor) -> None:
        """Lower its loss. As it is proportional to the weight, its gradient in the logarithm is the loss itself."""
        if self._adam is not None:
            self._adam.step([loss])

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name."""
        if self._adam is None:
            return {}
        return {"log": self.log.detach(), **{f"adam/{name}": tensor for name, tensor in self._adam.state().items()}}
