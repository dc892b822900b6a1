"""A Gaussian policy: imitation by maximum likelihood, and TD3+BC's use of a critic (Fujimoto & Gu, 2021)."""

import math

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch
from offlow_diffusion_ql.losses import normalised_q_loss
from offlow_diffusion_ql.toy.bandit import ACTION_DIM, STATE_DIM
from offlow_diffusion_ql.toy.learning import RewardCritic, Workbench

LOG_STD_BOUNDS = (-20.0, 2.0)


class GaussianLikelihood:
    """A diagonal Gaussian, whose samples nothing bounds; with a critic, its actions climb that as well."""

    def __init__(self, bench: Workbench, critic: RewardCritic | None = None):
        self._policy = bench.learner(bench.relu_mlp(STATE_DIM, 2 * ACTION_DIM), "init/policy")
        self._noise = bench.generator("noise")
        self._critic, self._eta = critic, bench.options.eta

    def update(self, batch: Batch) -> Tensor:
        """One step on -log pi(a | s), plus eta times the Q loss where there is a critic."""
        states = batch["observations"]
        mean, log_std = self._gaussian(states)
        imitation = loss = -log_likelihood(mean, log_std, batch["actions"]).mean()
        if self._critic is not None:
            self._critic.update(batch)
            values = self._critic(states, self._draw(mean, log_std))
            loss = imitation + self._eta * normalised_q_loss(values, self._critic.draw_head())
        self._policy.step(loss)
        return imitation.detach()

    @torch.no_grad()
    def sample(self, states: Tensor) -> Tensor:
        """[n, 2] -> [n, 2]"""
        return self._draw(*self._gaussian(states))

    def _gaussian(self, states: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self._policy.network(states).chunk(2, 1)
        return mean, log_std.clamp(*LOG_STD_BOUNDS)

    def _draw(self, mean: Tensor, log_std: Tensor) -> Tensor:
        return mean + log_std.exp() * torch.randn(mean.shape, generator=self._noise, device=mean.device)


def log_likelihood(mean: Tensor, log_std: Tensor, actions: Tensor) -> Tensor:
    """log N(a; mean, diag(std^2)), all [B, A] -> [B]."""
    scaled = (actions - mean) / log_std.exp()
    return -(0.5 * scaled.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(1)
