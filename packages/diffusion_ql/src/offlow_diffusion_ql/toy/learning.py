"""What all methods of the toy experiments are made of."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from offlow_core.torch.device_data import Batch
from offlow_core.torch.networks import Mlp, init_uniform
from offlow_core.torch.optimizers import ClippedAdam
from offlow_core.torch.streams import make_generator
from offlow_diffusion_ql.networks import TwinCritic
from offlow_diffusion_ql.toy.bandit import ACTION_DIM, STATE_DIM
from offlow_diffusion_ql.toy.options import ToyOptions

Network = TypeVar("Network", bound=nn.Module)


class Method(Protocol):
    """One panel's policy, updated in place."""

    def update(self, batch: Batch) -> Tensor:
        """One update of all its networks on `observations`, `actions` and `rewards`; the imitation loss."""
        ...

    def sample(self, states: Tensor) -> Tensor:
        """An action of the trained policy for each of the states [n, 2], [n, 2]."""
        ...


@dataclass(frozen=True)
class Workbench:
    """What a method is built with: the options, the device, and random streams that it shares with no other method."""

    options: ToyOptions
    device: torch.device
    name: str

    def generator(self, stream: str, device: torch.device | None = None) -> torch.Generator:
        """A stream of this method; on its device, unless another one is named."""
        return make_generator(self.options.seed, f"toy/{self.name}/{stream}", device or self.device)

    def learner(self, network: Network, stream: str) -> "Learner[Network]":
        """The network with fresh weights, and its optimizer."""
        init_uniform(network, self.generator(stream, torch.device("cpu")))  # equal networks on every device
        return Learner(network.to(self.device), self.options.lr)

    def relu_mlp(self, inputs: int, outputs: int) -> Mlp:
        """Two hidden layers, as in all networks but those of the diffusion, the flow and the critics."""
        return Mlp(inputs, [self.options.hidden_dim] * 2, outputs, torch.relu)


class Learner(Generic[Network]):
    """A network and the optimizer that trains it."""

    def __init__(self, network: Network, lr: float):
        self.network = network
        self._parameters = list(network.parameters())
        self._adam = ClippedAdam(self._parameters, lr)

    def step(self, loss: Tensor) -> None:
        """One Adam step of this network's own parameters, whatever else the loss depends on."""
        self._adam.step(torch.autograd.grad(loss, self._parameters))


class RewardCritic:
    """Two critics of a problem that ends after one step, so that its value is the reward."""

    def __init__(self, bench: Workbench):
        self._learner = bench.learner(TwinCritic(STATE_DIM, ACTION_DIM, bench.options.hidden_dim), "init/critic")
        self._noise = bench.generator("noise/head")

    def __call__(self, states: Tensor, actions: Tensor) -> Tensor:
        """Values [2, B] of a policy's actions; the critics' weights get no gradient from them."""
        network = self._learner.network.requires_grad_(False)
        values = network(states, actions)
        network.requires_grad_(True)
        return values

    def update(self, batch: Batch) -> Tensor:
        """One step towards the rewards; the loss."""
        values = self._learner.network(batch["observations"], batch["actions"])
        loss = reward_loss(values, batch["rewards"])
        self._learner.step(loss)
        return loss.detach()

    def draw_head(self) -> Tensor:
        """A uniform number, which picks the head that a policy climbs."""
        return torch.rand((), generator=self._noise, device=self._noise.device)


def reward_loss(values: Tensor, rewards: Tensor) -> Tensor:
    """Sum over both heads of the mean squared error, values [2, B], rewards [B]."""
    return (values - rewards).square().mean(1).sum()
