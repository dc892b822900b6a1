"""Behaviour cloning with a diffusion or flow policy: the imitation loss alone, without clipping, decay or average."""

import torch
from torch import Tensor

from offlow_core.evaluation import Policy
from offlow_core.torch.device_data import Batch
from offlow_core.torch.learner import Metrics
from offlow_core.torch.networks import init_uniform
from offlow_core.torch.optimizers import ClippedAdam
from offlow_core.torch.state_arrays import joined
from offlow_core.torch.streams import make_generator
from offlow_core.torch.updates import compiled_if
from offlow_diffusion_ql.acting import single_sample_policy
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.families import make_family, make_policy_network
from offlow_diffusion_ql.generative_policy import CloningNoise, GenerativePolicy
from offlow_diffusion_ql.networks import PolicyNetwork


class BehaviourCloning:
    """One seed of the imitating policy; updated in place."""

    metric_names = ("actor/bc_loss",)

    def __init__(
        self,
        config: DiffusionQlConfig,
        observation_dim: int,
        action_dim: int,
        *,
        seed: int,
        device: torch.device,
        compiled: bool = False,
    ):
        self.config, self._action_dim = config, action_dim
        self.family = make_family(config, device)
        self.actor = make_policy_network(config, observation_dim, action_dim)
        init_uniform(self.actor, make_generator(seed, "init", torch.device("cpu")))
        self.actor.to(device)
        self._adam = ClippedAdam(list(self.actor.parameters()), config.lr)
        self._loss = compiled_if(compiled, bc_loss)

    def prepare(self, updates: int) -> None:
        """Every update is like the others."""

    def draw_noise(self, generator: torch.Generator) -> CloningNoise:
        """Fresh draws for one update."""
        return self.family.draw_cloning_noise(generator, (self.config.batch_size, self._action_dim))

    def update(self, batch: Batch, noise: CloningNoise, variant: None = None) -> Metrics:
        """One Adam step on the imitation loss."""
        loss = self._loss(self.actor, self.family, batch, noise)
        self._adam.step(torch.autograd.grad(loss, list(self.actor.parameters())))
        return {"actor/bc_loss": loss.detach()}

    @torch.no_grad()
    def losses(self, batch: Batch, noise: CloningNoise) -> Metrics:
        """The imitation loss, without an update."""
        return {"actor/bc_loss": bc_loss(self.actor, self.family, batch, noise)}

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name."""
        return joined({"actor": self.actor.state_dict(), "actor_adam": self._adam.state()})

    def policy(self) -> Policy:
        """Acts with one draw."""
        return single_sample_policy(self.family, self.actor)

    sampling_policy = policy


def bc_loss(policy: PolicyNetwork, family: GenerativePolicy, batch: Batch, noise: CloningNoise) -> Tensor:
    """The policy's imitation loss on a batch, a scalar."""
    return family.cloning_loss(policy, batch["observations"], batch["actions"], noise)
