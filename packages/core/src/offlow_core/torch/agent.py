"""What a PyTorch algorithm is to its learner."""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from offlow_core.evaluation import Policy
from offlow_core.torch.device_data import Batch

Metrics = dict[str, Tensor]


class TorchAgent(Protocol):
    """One seed of an algorithm. `update` and `losses` never wait for the device."""

    @property
    @abstractmethod
    def metric_names(self) -> Sequence[str]:
        """What `update` reports."""
        ...

    @abstractmethod
    def prepare(self, updates: int) -> Hashable:
        """Set what depends on the number of updates made so far; which variant of `update` comes next."""
        ...

    @abstractmethod
    def draw_noise(self, generator: torch.Generator) -> Any:
        """Fresh draws for one update."""
        ...

    @abstractmethod
    def update(self, batch: Batch, noise: Any, variant: Any, /) -> Metrics:
        """One update in place, of the variant that `prepare` named; a scalar for each of `metric_names`."""
        ...

    @abstractmethod
    def losses(self, batch: Batch, noise: Any) -> Metrics:
        """The losses without an update."""
        ...

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name."""
        ...

    @abstractmethod
    def policy(self) -> Policy:
        """The policy of the moment, for evaluation."""
        ...
