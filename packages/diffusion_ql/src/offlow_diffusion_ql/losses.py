"""The losses of Diffusion-QL (arXiv 2208.06193, section 4) as functions of networks, batch and noise."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.generative_policy import ChainNoise, CloningNoise, GenerativePolicy
from offlow_diffusion_ql.networks import PolicyNetwork, TwinCritic

Parts = dict[str, Tensor]
ActionValues = Callable[[Tensor, Tensor], Tensor]
"""(observations [B, S], actions [B, A]) -> values [2, B]."""


class UpdateNoise(NamedTuple):
    """All draws of one update."""

    target: ChainNoise
    """For n next actions per state, [..., B, n, A]."""
    cloning: CloningNoise
    actor: ChainNoise
    """For the policy's own actions, [..., B, A]."""
    head: Tensor
    """A uniform number, which picks the head that the policy climbs."""


def critic_loss(
    critic: TwinCritic,
    target_policy: PolicyNetwork,
    target_critic: TwinCritic,
    family: GenerativePolicy,
    batch: Batch,
    noise: UpdateNoise,
    config: DiffusionQlConfig,
) -> tuple[Tensor, Parts]:
    """Sum over both heads of the mean squared Bellman error, and its intermediate values.

    `next_actions` [B, n, A], `next_values` [2, B, n], `target` [B], `values` [2, B].
    """
    target, parts = bellman_target(target_policy, target_critic, family, batch, noise.target, config.discount)
    values = critic(batch["observations"], batch["actions"])
    loss = (values - target).square().mean(1).sum()
    return loss, {**parts, "values": values.detach(), "critic_loss": loss.detach()}


@torch.no_grad()
def bellman_target(
    target_policy: PolicyNetwork,
    target_critic: TwinCritic,
    family: GenerativePolicy,
    batch: Batch,
    noise: ChainNoise,
    discount: float,
) -> tuple[Tensor, Parts]:
    """y = r + discount mask min over heads of (max over the n next actions of Q), [B], and its parts.

    With n = 1 this is clipped double Q-learning, with more the paper's max-Q backup: each head's best action first,
    then the lesser head, which is not the best of the lesser values.
    """
    states = target_policy.of_states(batch["next_observations"])[:, None]
    actions = family.sample(target_policy, states, noise)
    values = target_critic(batch["next_observations"], actions)
    target = batch["rewards"] + discount * batch["masks"] * values.amax(2).amin(0)
    return target, {"next_actions": actions, "next_values": values, "target": target}


def actor_loss(
    policy: PolicyNetwork,
    critic: ActionValues,
    family: GenerativePolicy,
    batch: Batch,
    noise: UpdateNoise,
    config: DiffusionQlConfig,
) -> tuple[Tensor, Parts]:
    """Imitation loss + eta * Q loss, equation (3), and its intermediate values.

    `actions` [B, A] of the policy and their `action_values` [2, B]. The Q gradient runs through the whole sampling
    chain, except where `flow_q_gradient` says otherwise.
    """
    observations = batch["observations"]
    bc = family.cloning_loss(policy, observations, batch["actions"], noise.cloning)
    differentiate = config.policy == "diffusion" or config.flow_q_gradient == "full"
    with torch.set_grad_enabled(differentiate and torch.is_grad_enabled()):
        actions = family.sample(policy, policy.of_states(observations), noise.actor)
    values = critic(observations, actions)
    ql = normalised_q_loss(values, noise.head)
    loss = bc + config.eta * ql
    parts = {"actor_loss": loss, "bc_loss": bc, "q_loss": ql, "actions": actions, "action_values": values}
    return loss, {name: value.detach() for name, value in parts.items()}


def normalised_q_loss(values: Tensor, head: Tensor) -> Tensor:
    """-mean Q of one head over the mean |Q| of the other, a constant; values [2, B], the first where head > 0.5.

    Nothing guards the division: a critic that is exactly 0 everywhere gives NaN, which stops the run.
    """
    means, scales = values.mean(1), values.detach().abs().mean(1)
    first = head > 0.5  # on the device: asking for it would wait for all that is queued there
    return -torch.where(first, means[0], means[1]) / torch.where(first, scales[1], scales[0])


def selection_probabilities(values: Tensor) -> Tensor:
    """softmax over n candidates of the lesser head, [2, B, n] -> [B, n]."""
    return values.amin(0).softmax(1)


def select_candidates(values: Tensor, uniform: Tensor) -> Tensor:
    """One of n candidates per row, with these probabilities, as indices [B].

    `uniform` [B] in [0, 1) picks by the inverse of the cumulative distribution.
    """
    cumulative = selection_probabilities(values).cumsum(1)
    # Rounding may leave the last sum below 1 and the number above it.
    return (cumulative <= uniform[:, None]).sum(1).clamp(max=values.shape[2] - 1)
