"""Diffusion-QL in the shape that research code usually has: one module per head, one tensor at a time, numbers read
at every update. The benchmarks compare with it, and a test holds it equal to the package."""

import copy
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from offlow_core.torch.device_data import Batch
from offlow_core.torch.time_features import time_features
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.generative_policy import ChainNoise
from offlow_diffusion_ql.losses import UpdateNoise
from offlow_diffusion_ql.schedules import make_schedule

CPU = torch.device("cpu")


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    widths = [inputs, hidden, hidden, hidden]
    layers = [[nn.Linear(n, m), nn.Mish()] for n, m in pairwise(widths)]
    return nn.Sequential(*(module for pair in layers for module in pair), nn.Linear(hidden, outputs))


class _Actor(nn.Module):
    def __init__(self, observation_dim: int, action_dim: int, config: DiffusionQlConfig):
        super().__init__()
        dim = config.time_dim
        self.dim = dim
        self.time = nn.Sequential(nn.Linear(dim, 2 * dim), nn.Mish(), nn.Linear(2 * dim, dim))
        self.body = _mlp(action_dim + dim + observation_dim, config.actor_hidden, action_dim)

    def forward(self, x: Tensor, t: Tensor, observations: Tensor) -> Tensor:
        return self.body(torch.cat([x, self.time(time_features(t.float(), self.dim)), observations], 1))


class _Critic(nn.Module):
    def __init__(self, observation_dim: int, action_dim: int, config: DiffusionQlConfig):
        super().__init__()
        self.q1 = _mlp(observation_dim + action_dim, config.critic_hidden, 1)
        self.q2 = _mlp(observation_dim + action_dim, config.critic_hidden, 1)

    def forward(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        inputs = torch.cat([observations, actions], 1)
        return self.q1(inputs), self.q2(inputs)


class PlainDiffusionQl:
    """The agent with noise prediction and clamping, or the flow agent with its gradient through the Euler steps."""

    def __init__(
        self,
        config: DiffusionQlConfig,
        observation_dim: int,
        action_dim: int,
        device: torch.device = CPU,
    ):
        self.config = config
        tables = make_schedule(config.beta_schedule, config.n_timesteps)
        self.schedule = replace(tables, **{f.name: getattr(tables, f.name).to(device) for f in fields(tables)})
        self.actor = _Actor(observation_dim, action_dim, config).to(device)
        self.critic = _Critic(observation_dim, action_dim, config).to(device)
        self.actor_ema, self.critic_target = copy.deepcopy(self.actor), copy.deepcopy(self.critic)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=config.lr)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), lr=config.critic_lr)
        self.updates = 0

    def _denoise(self, actor: _Actor, observations: Tensor, noise: ChainNoise) -> Tensor:
        s, x, bound = self.schedule, noise.start, self.config.max_action
        for i, step in enumerate(reversed(range(self.config.n_timesteps))):
            t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
            output = actor(x, t, observations)
            action = s.sqrt_recip_alphas_cumprod[t][:, None] * x - s.sqrt_recipm1_alphas_cumprod[t][:, None] * output
            action = action.clamp(-bound, bound)
            mean = s.posterior_mean_of_action[t][:, None] * action + s.posterior_mean_of_x[t][:, None] * x
            draw = noise.steps[i] if i < len(noise.steps) else torch.zeros_like(x)
            x = mean + (t > 0).float()[:, None] * s.posterior_std[t][:, None] * draw
        return x.clamp(-bound, bound)

    def _follow(self, actor: _Actor, observations: Tensor, noise: ChainNoise) -> Tensor:
        x, steps = noise.start, self.config.n_timesteps
        for i in range(steps):
            x = x + actor(x, torch.full((len(x),), i / steps, device=x.device), observations) / steps
        return x.clamp(-self.config.max_action, self.config.max_action)

    def _sample(self, actor: _Actor, observations: Tensor, noise: ChainNoise) -> Tensor:
        sampler = self._follow if self.config.policy == "flow" else self._denoise
        return sampler(actor, observations, noise)

    def _cloning_loss(self, batch: Batch, t: Tensor, x: Tensor) -> Tensor:
        actions, s = batch["actions"], self.schedule
        if self.config.policy == "flow":
            mixed = t[:, None] * actions + (1 - t[:, None]) * x
            return (self.actor(mixed, t, batch["observations"]) - (actions - x)).norm(dim=1).mean()
        mixed = s.sqrt_alphas_cumprod[t][:, None] * actions + s.sqrt_one_minus_alphas_cumprod[t][:, None] * x
        return ((self.actor(mixed, t, batch["observations"]) - x) ** 2).mean()

    def _target(self, batch: Batch, noise: ChainNoise) -> Tensor:
        rows, repeats, _ = noise.start.shape
        following = batch["next_observations"].repeat_interleave(repeats, 0)
        flat = ChainNoise(noise.start.flatten(0, 1), noise.steps.flatten(1, 2))
        q1, q2 = self.critic_target(following, self._sample(self.actor_ema, following, flat))
        best = torch.min(q1.view(rows, repeats).max(1, keepdim=True)[0], q2.view(rows, repeats).max(1, keepdim=True)[0])
        return (batch["rewards"][:, None] + self.config.discount * batch["masks"][:, None] * best).detach()

    def update(self, batch: Batch, noise: UpdateNoise) -> Mapping[str, float]:
        """One update; its losses as numbers."""
        config = self.config
        q1, q2 = self.critic(batch["observations"], batch["actions"])
        target = self._target(batch, noise.target)
        critic_loss = nn.functional.mse_loss(q1, target) + nn.functional.mse_loss(q2, target)
        self._step(self.critic_adam, critic_loss, self.critic)

        bc_loss = self._cloning_loss(batch, *noise.cloning)
        q1, q2 = self.critic(batch["observations"], self._sample(self.actor, batch["observations"], noise.actor))
        q, scale = (q1, q2) if noise.head > 0.5 else (q2, q1)
        q_loss = -q.mean() / scale.abs().mean().detach()
        actor_loss = bc_loss + config.eta * q_loss
        self._step(self.actor_adam, actor_loss, self.actor)

        if self.updates >= config.step_start_ema and self.updates % config.update_ema_every == 0:
            for average, parameter in zip(self.actor_ema.parameters(), self.actor.parameters(), strict=True):
                average.data = config.ema_decay * average.data + (1 - config.ema_decay) * parameter.data
        for slow, parameter in zip(self.critic_target.parameters(), self.critic.parameters(), strict=True):
            slow.data.copy_(config.tau * parameter.data + (1 - config.tau) * slow.data)
        self.updates += 1
        losses = {"actor_loss": actor_loss, "bc_loss": bc_loss, "q_loss": q_loss, "critic_loss": critic_loss}
        return {name: loss.item() for name, loss in losses.items()}

    def _step(self, adam: torch.optim.Adam, loss: Tensor, module: nn.Module) -> None:
        adam.zero_grad()
        loss.backward()
        if self.config.grad_norm > 0:
            nn.utils.clip_grad_norm_(module.parameters(), max_norm=self.config.grad_norm, norm_type=2)
        adam.step()

    def parameters(self, name: str) -> list[nn.Parameter]:
        """Of one of the four networks, in the order of the official names."""
        network = getattr(self, name)
        return (
            [*network.time.parameters(), *network.body.parameters()] if "actor" in name else list(network.parameters())
        )

    @torch.no_grad()
    def take(self, arrays: Mapping[str, Mapping[str, Any]]) -> None:
        """Official parameters by network, as `upstream_names` translates them."""
        for name, values in arrays.items():
            for parameter, value in zip(self.parameters(name), values.values(), strict=True):
                parameter.copy_(torch.as_tensor(value))
