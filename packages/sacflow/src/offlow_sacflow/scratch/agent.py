"""SAC Flow from scratch (arXiv 2509.25756): what one update does, in the official order."""

import math

import torch
from torch import Tensor, nn

from offlow_core.evaluation import Policy
from offlow_core.torch.device_data import Batch
from offlow_core.torch.learner import Metrics
from offlow_core.torch.networks import frozen_copy, init_lecun_normal
from offlow_core.torch.optimizers import ClippedAdam, move_towards
from offlow_core.torch.state_arrays import joined
from offlow_core.torch.streams import make_generator
from offlow_core.torch.updates import compiled_if
from offlow_sacflow.normalisation import Statistics
from offlow_sacflow.rollout import RolloutNoise
from offlow_sacflow.scratch.acting import deterministic_policy, noiseless_policy, sampling_policy
from offlow_sacflow.scratch.batch_renorm import store
from offlow_sacflow.scratch.config import ScratchConfig
from offlow_sacflow.scratch.critic import CriticEnsemble
from offlow_sacflow.scratch.flow_t import FlowT
from offlow_sacflow.scratch.losses import Parts, actor_loss, alpha_loss, critic_loss
from offlow_sacflow.scratch.noise import UpdateNoise, draw_update_noise
from offlow_sacflow.scratch.policy import ActionRange, FlowPolicy, make_velocity_network

Gradients = tuple[Tensor, ...]


class SacFlow:
    """One seed: a policy, critics, targets where they are used, alpha, and their optimizers; updated in place."""

    def __init__(
        self,
        config: ScratchConfig,
        observation_dim: int,
        action_range: ActionRange,
        *,
        seed: int,
        device: torch.device,
        compiled: bool = False,
    ):
        """`action_range` on the device, too."""
        self.config, self._action_dim = config, len(action_range.scale)
        generator = make_generator(seed, "init", torch.device("cpu"))  # equal networks on every device
        self.actor = make_velocity_network(config, observation_dim, self._action_dim, generator).to(device)
        self.critic = CriticEnsemble(observation_dim, self._action_dim, config)
        init_lecun_normal(self.critic, generator)
        self.critic.to(device)
        self.critic_target = None if config.crossq_style else frozen_copy(self.critic)
        self.flow_policy = FlowPolicy(self.actor, action_range)
        log_alpha = math.log(config.alpha) if config.alpha > 0 else -math.inf
        self.log_alpha = nn.Parameter(torch.tensor(log_alpha, device=device))
        if isinstance(self.actor, FlowT) and self.actor.config.freeze_null_params:
            self.actor.freeze_null_parameters()
        self.actor_parameters = [parameter for parameter in self.actor.parameters() if parameter.requires_grad]
        betas = (config.adam_b1, 0.999)
        self._actor_adam = ClippedAdam(self.actor_parameters, config.policy_lr, betas=betas)
        self._critic_adam = ClippedAdam(list(self.critic.parameters()), config.q_lr, betas=betas)
        self._alpha_adam = ClippedAdam([self.log_alpha], config.q_lr, betas=betas) if config.autotune else None
        self._critic_loss, self._actor_loss = compiled_if(compiled, critic_loss), compiled_if(compiled, actor_loss)
        self._actor_metrics = torch.zeros(len(self._actor_metric_names), device=device)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What `update` reports; of the policy's metrics the latest, as it does not move in every update."""
        return (*_CRITIC_METRICS, *self._actor_metric_names)

    @property
    def _actor_metric_names(self) -> tuple[str, ...]:
        return (*_ACTOR_METRICS, *(_ALPHA_METRICS if self.config.autotune else ()))

    def prepare(self, updates: int) -> bool:
        """Whether the policy and alpha move in the update after `updates` others."""
        return (updates + 1) % self.config.policy_delay == 0

    def draw_noise(self, generator: torch.Generator) -> UpdateNoise:
        """Fresh draws for one update."""
        config = self.config
        return draw_update_noise(generator, config.denoising_steps, config.batch_size, self._action_dim)

    def update(self, batch: Batch, noise: UpdateNoise, moves_policy: bool) -> Metrics:
        """Critics and their targets; then, if it is their turn, the policy against those critics, and alpha."""
        parts = self._update_critic(batch, noise.critic)
        if moves_policy:
            values = self._update_policy(batch, noise.actor)
            torch.stack([values[name] for name in self._actor_metric_names], out=self._actor_metrics)
        latest = dict(zip(self._actor_metric_names, self._actor_metrics.unbind(), strict=True))
        return critic_metrics(parts) | latest

    def _update_critic(self, batch: Batch, noise: RolloutNoise) -> Parts:
        gradients, parts, statistics = self.critic_gradients(batch, noise)
        self._critic_adam.step(gradients)
        store(statistics)
        if self.critic_target is not None:
            move_towards(self.critic_target, self.critic, self.config.tau)
        return parts

    def _update_policy(self, batch: Batch, noise: RolloutNoise) -> Metrics:
        gradients, parts, statistics = self.actor_gradients(batch, noise)
        self._actor_adam.step(gradients)
        store(statistics)
        metrics = self._policy_metrics(parts)
        if self._alpha_adam is not None:
            self._alpha_adam.step(self.alpha_gradients(parts["log_probs"]))
        return metrics

    def critic_gradients(self, batch: Batch, noise: RolloutNoise) -> tuple[Gradients, Parts, Statistics]:
        """Of the critics' loss in the critics' parameters, with its intermediate values and statistics."""
        networks = self.critic, self.critic_target, self.flow_policy
        loss, parts, statistics = self._critic_loss(*networks, self.alpha, batch, noise, self.config.gamma)
        return torch.autograd.grad(loss, list(self.critic.parameters())), parts, statistics

    def actor_gradients(self, batch: Batch, noise: RolloutNoise) -> tuple[Gradients, Parts, Statistics]:
        """Of the policy's loss in `actor_parameters`, with its intermediate values and statistics."""
        self.critic.requires_grad_(False)  # its own gradient is not wanted here, and costs as much as the rest of it
        try:
            loss, parts, statistics = self._actor_loss(self.flow_policy, self.critic, self.alpha, batch, noise)
            return torch.autograd.grad(loss, self.actor_parameters), parts, statistics
        finally:
            self.critic.requires_grad_(True)

    def alpha_gradients(self, log_probs: Tensor) -> Gradients:
        """Of alpha's loss in log alpha."""
        return torch.autograd.grad(alpha_loss(self.log_alpha, log_probs, self.config.target_entropy), [self.log_alpha])

    @property
    def alpha(self) -> Tensor:
        """The weight of the entropy, as a constant."""
        return self.log_alpha.detach().exp()

    @torch.no_grad()
    def losses(self, batch: Batch, noise: UpdateNoise) -> Metrics:
        """The metrics of all losses, without an update; normalised by the batch, as in training."""
        networks = self.critic, self.critic_target, self.flow_policy
        _, critic_parts, _ = critic_loss(*networks, self.alpha, batch, noise.critic, self.config.gamma)
        _, actor_parts, _ = actor_loss(self.flow_policy, self.critic, self.alpha, batch, noise.actor)
        return critic_metrics(critic_parts) | self._policy_metrics(actor_parts)

    @torch.no_grad()
    def _policy_metrics(self, parts: Parts) -> Metrics:
        metrics = {
            "actor/actor_loss": parts["actor_loss"],
            "actor/q_mean": parts["action_values"].mean(),
            "actor/entropy": -parts["log_probs"].mean(),
        }
        if self.config.autotune:
            loss = alpha_loss(self.log_alpha, parts["log_probs"], self.config.target_entropy)
            metrics |= {"alpha/alpha": self.alpha, "alpha/alpha_loss": loss}
        return metrics

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name; running statistics are among those of the networks."""
        parts = {
            "actor": self.actor.state_dict(),
            "critic": self.critic.state_dict(),
            "actor_adam": self._actor_adam.state(),
            "critic_adam": self._critic_adam.state(),
            "latest": {"actor_metrics": self._actor_metrics},
        }
        if self.critic_target is not None:
            parts["critic_target"] = self.critic_target.state_dict()
        if self._alpha_adam is not None:
            parts |= {"alpha": {"log_alpha": self.log_alpha.detach()}, "alpha_adam": self._alpha_adam.state()}
        return joined(parts)

    def policy(self) -> Policy:
        """Acts as in training: with noise at the start and at every step."""
        return sampling_policy(self.flow_policy, self.config.denoising_steps)

    def noiseless_policy(self) -> Policy:
        """Acts along the velocity alone, from a start that is drawn."""
        return noiseless_policy(self.flow_policy, self.config.denoising_steps)

    def deterministic_policy(self) -> Policy:
        """Acts along the velocity alone, from the middle of the starts."""
        return deterministic_policy(self.flow_policy, self.config.denoising_steps)


_CRITIC_METRICS = ("critic/critic_loss", "critic/q_mean", "critic/next_value_mean", "critic/target_mean")
_ACTOR_METRICS = ("actor/actor_loss", "actor/q_mean", "actor/entropy")
_ALPHA_METRICS = ("alpha/alpha", "alpha/alpha_loss")


def critic_metrics(parts: Parts) -> Metrics:
    """Scalars for the log from the intermediate values of the critics' loss."""
    return {
        "critic/critic_loss": parts["critic_loss"],
        "critic/q_mean": parts["values"].mean(),
        "critic/next_value_mean": parts["next_values"].mean(),
        "critic/target_mean": parts["target"].mean(),
    }
