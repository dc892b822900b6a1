"""Diffusion-QL and its flow-matching variant: what one update does, in the official order (arXiv 2208.06193)."""

import math
from functools import partial

import torch
from torch import Tensor

from offlow_core.evaluation import Policy
from offlow_core.torch.device_data import Batch
from offlow_core.torch.learner import Metrics
from offlow_core.torch.networks import frozen_copy, init_uniform
from offlow_core.torch.optimizers import ClippedAdam, move_towards
from offlow_core.torch.state_arrays import joined
from offlow_core.torch.streams import make_generator
from offlow_core.torch.updates import compiled_if
from offlow_diffusion_ql.acting import selecting_policy, single_sample_policy
from offlow_diffusion_ql.config import EVALUATION_EPOCHS, DiffusionQlConfig
from offlow_diffusion_ql.families import make_family, make_policy_network
from offlow_diffusion_ql.generative_policy import ChainNoise
from offlow_diffusion_ql.losses import Parts, UpdateNoise, actor_loss, critic_loss
from offlow_diffusion_ql.networks import TwinCritic


class DiffusionQl:
    """One seed: a policy and its average, critics and their targets, two optimizers; updated in place."""

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
        self.critic = TwinCritic(observation_dim, action_dim, config.critic_hidden)
        generator = make_generator(seed, "init", torch.device("cpu"))  # equal networks on every device
        for network in (self.actor, self.critic):
            init_uniform(network, generator)
            network.to(device)
        self.actor_ema, self.critic_target = frozen_copy(self.actor), frozen_copy(self.critic)
        self._clips = config.grad_norm > 0
        max_norm = config.grad_norm if self._clips else None
        self._actor_adam = ClippedAdam(list(self.actor.parameters()), config.lr, max_norm)
        self._critic_adam = ClippedAdam(list(self.critic.parameters()), config.critic_lr, max_norm)
        self._critic_loss, self._actor_loss = compiled_if(compiled, critic_loss), compiled_if(compiled, actor_loss)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What `update` reports."""
        return (*_LOSSES, *_GRADIENT_NORMS) if self._clips else _LOSSES

    def prepare(self, updates: int) -> bool:
        """Set the step sizes for the update after `updates` others; whether the averaged policy moves in it."""
        config = self.config
        if config.lr_decay:
            epochs = EVALUATION_EPOCHS if config.lr_decay_unit == "interval" else 1
            factor = cosine_decay(updates // (epochs * config.steps_per_epoch), config.num_epochs)
            self._actor_adam.set_lr(config.lr * factor)
            self._critic_adam.set_lr(config.critic_lr * factor)
        return updates >= config.step_start_ema and updates % config.update_ema_every == 0

    def draw_noise(self, generator: torch.Generator) -> UpdateNoise:
        """Fresh draws for one update."""
        config, family = self.config, self.family
        shape = (config.batch_size, self._action_dim)
        repeats = config.max_q_repeats if config.max_q_backup else 1
        normal = partial(torch.randn, generator=generator, device=generator.device)
        return UpdateNoise(
            target=ChainNoise.of(normal((family.chain_draws, shape[0], repeats, shape[1]))),
            cloning=family.draw_cloning_noise(generator, shape),
            actor=ChainNoise.of(normal((family.chain_draws, *shape))),
            head=torch.rand((), generator=generator, device=generator.device),
        )

    def update(self, batch: Batch, noise: UpdateNoise, moves_average: bool) -> Metrics:
        """Critics, then the policy against the critics just updated, then the slow copies of both."""
        gradients, critic_parts = self.critic_gradients(batch, noise)
        critic_norm = self._critic_adam.step(gradients)
        gradients, actor_parts = self.actor_gradients(batch, noise)
        actor_norm = self._actor_adam.step(gradients)
        if moves_average:
            move_towards(self.actor_ema, self.actor, 1 - self.config.ema_decay)
        move_towards(self.critic_target, self.critic, self.config.tau)
        norms = zip(_GRADIENT_NORMS, (actor_norm, critic_norm), strict=True)
        return loss_metrics(critic_parts | actor_parts) | {name: norm for name, norm in norms if norm is not None}

    def critic_gradients(self, batch: Batch, noise: UpdateNoise) -> tuple[tuple[Tensor, ...], Parts]:
        """Of the critics' loss in the critics' parameters, before clipping; and the loss's intermediate values."""
        networks = self.critic, self.actor_ema, self.critic_target
        loss, parts = self._critic_loss(*networks, self.family, batch, noise, self.config)
        return torch.autograd.grad(loss, list(self.critic.parameters())), parts

    def actor_gradients(self, batch: Batch, noise: UpdateNoise) -> tuple[tuple[Tensor, ...], Parts]:
        """Of the policy's loss in the policy's parameters, before clipping; and the loss's intermediate values."""
        self.critic.requires_grad_(False)  # its own gradient is not wanted here, and costs as much as the rest of it
        try:
            loss, parts = self._actor_loss(self.actor, self.critic, self.family, batch, noise, self.config)
            return torch.autograd.grad(loss, list(self.actor.parameters())), parts
        finally:
            self.critic.requires_grad_(True)

    @torch.no_grad()
    def losses(self, batch: Batch, noise: UpdateNoise) -> Metrics:
        """The metrics of both losses, without an update."""
        networks = self.critic, self.actor_ema, self.critic_target
        _, critic_parts = critic_loss(*networks, self.family, batch, noise, self.config)
        _, actor_parts = actor_loss(self.actor, self.critic, self.family, batch, noise, self.config)
        return loss_metrics(critic_parts | actor_parts)

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name."""
        parts = {
            **{name: getattr(self, name).state_dict() for name in ("actor", "actor_ema", "critic", "critic_target")},
            "actor_adam": self._actor_adam.state(),
            "critic_adam": self._critic_adam.state(),
        }
        return joined(parts)

    def policy(self) -> Policy:
        """Acts with one of `n_action_samples` candidates, drawn by the target critics' values."""
        return selecting_policy(self.family, self.actor, self.critic_target, self.config.n_action_samples)

    def sampling_policy(self) -> Policy:
        """Acts with one draw, whatever the critics say."""
        return single_sample_policy(self.family, self.actor)


_LOSSES = (
    *("critic/critic_loss", "critic/q_mean", "critic/target_mean"),
    *("actor/actor_loss", "actor/bc_loss", "actor/q_loss", "actor/q", "actor/q_scale"),
)
_GRADIENT_NORMS = ("grad/actor_norm", "grad/critic_norm")


def loss_metrics(parts: Parts) -> Metrics:
    """Scalars for the log from the intermediate values of both losses.

    `actor/q_scale` is the lesser of the two mean |Q| that the Q loss is divided by, unguarded: watch it near 0.
    """
    return {
        "critic/critic_loss": parts["critic_loss"],
        "critic/q_mean": parts["values"].mean(),
        "critic/target_mean": parts["target"].mean(),
        "actor/actor_loss": parts["actor_loss"],
        "actor/bc_loss": parts["bc_loss"],
        "actor/q_loss": parts["q_loss"],
        "actor/q": parts["action_values"].mean(),
        "actor/q_scale": parts["action_values"].abs().mean(1).amin(),
    }


def cosine_decay(advances: int, num_epochs: int) -> float:
    """Factor of the step sizes, from 1 to 0 after `num_epochs` advances."""
    return 0.5 * (1 + math.cos(math.pi * min(advances, num_epochs) / num_epochs))
