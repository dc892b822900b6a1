"""The losses of SAC Flow from scratch, as functions of networks, batch and noise.

None of them writes anything: the running statistics that a pass in train mode leaves are among the results.
"""

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch
from offlow_sacflow.normalisation import Statistics
from offlow_sacflow.rollout import RolloutNoise
from offlow_sacflow.scratch.critic import CriticEnsemble
from offlow_sacflow.scratch.policy import FlowPolicy

Parts = dict[str, Tensor]


def critic_loss(
    critic: CriticEnsemble,
    target_critic: CriticEnsemble | None,
    policy: FlowPolicy,
    alpha: Tensor,
    batch: Batch,
    noise: RolloutNoise,
    gamma: float,
) -> tuple[Tensor, Parts, Statistics]:
    """Sum over the ensemble of half the mean squared Bellman error, its intermediate values, the critics' statistics.

    `next_actions` [B, A], `next_log_probs`, `next_values` (soft) and `target` [B], `values` [n, B].
    Without target critics one pass in train mode gives current and next values (CrossQ, arXiv 1902.05605).
    """
    with torch.no_grad():
        sample = policy.sample(batch["next_observations"], noise)
    statistics: Statistics = {}
    if target_critic is None:
        values, next_values = joint_values(critic, batch, sample.actions, statistics)
    else:
        values = critic(batch["observations"], batch["actions"], statistics)
        with torch.no_grad():
            next_values = target_critic(batch["next_observations"], sample.actions)
    soft_values = next_values.amin(0) - alpha * sample.log_probs
    target = batch["rewards"] + gamma * batch["masks"] * soft_values
    loss = 0.5 * (values - target).square().mean(1).sum()
    parts = {"critic_loss": loss, "values": values, "next_values": soft_values, "target": target}
    parts |= {"next_actions": sample.actions, "next_log_probs": sample.log_probs}
    return loss, {name: value.detach() for name, value in parts.items()}, statistics


def joint_values(
    critic: CriticEnsemble, batch: Batch, next_actions: Tensor, statistics: Statistics
) -> tuple[Tensor, Tensor]:
    """Values of the current pairs, and of the next ones as constants, [n, B] each, normalised as one batch."""
    observations = torch.cat([batch["observations"], batch["next_observations"]])
    actions = torch.cat([batch["actions"], next_actions])
    values, next_values = critic(observations, actions, statistics).chunk(2, -1)
    return values, next_values.detach()


def actor_loss(
    policy: FlowPolicy, critic: CriticEnsemble, alpha: Tensor, batch: Batch, noise: RolloutNoise
) -> tuple[Tensor, Parts, Statistics]:
    """Mean of alpha * log-likelihood - the least value, its intermediate values, the policy's statistics.

    The policy's own `actions` [B, A] with their `log_probs` and `action_values` [B]. The gradient runs through all
    steps of the rollout, and through critics in eval mode.
    """
    statistics: Statistics = {}
    sample = policy.sample(batch["observations"], noise, statistics)
    values = critic(batch["observations"], sample.actions).amin(0)
    loss = (alpha * sample.log_probs - values).mean()
    parts = {"actor_loss": loss, "actions": sample.actions, "log_probs": sample.log_probs, "action_values": values}
    return loss, {name: value.detach() for name, value in parts.items()}, statistics


def alpha_loss(log_alpha: Tensor, log_probs: Tensor, target_entropy: float) -> Tensor:
    """alpha * (entropy - its target), whose gradient in log alpha is the loss itself; log_probs [B] are constants."""
    return log_alpha.exp() * (-log_probs.mean() - target_entropy)
