"""The losses of the agents with chunks, as functions of networks, batch and noise.

Batches are those of a `ChunkSampler`. Each loss returns a scalar, to be minimised over all networks at once, and its
parts without gradients: metrics under their names in the log, and intermediate values.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from offlow_core.torch.device_data import Batch
from offlow_sacflow.chunk.config import AcfqlConfig, ChunkConfig, ChunkNaiveConfig, SacFlowConfig
from offlow_sacflow.chunk.networks import ChunkCritic, Field, MlpField, OneStepActor
from offlow_sacflow.chunk.noise import (
    AcfqlNoise,
    CloningNoise,
    FlowOnlineNoise,
    SacImitationNoise,
    SacOnlineNoise,
)
from offlow_sacflow.chunk.sampling import aggregate, best_of_candidates, follow, noisy_rollout, squashed_flow

Parts = dict[str, Tensor]
Loss = tuple[Tensor, Parts]


class Critics(NamedTuple):
    """The ensemble, the same numbers as constants, and the slow copy."""

    trained: ChunkCritic
    constant: ChunkCritic
    target: ChunkCritic


def bellman_loss(
    critics: Critics, batch: Batch, next_actions: Tensor, entropy_cost: Tensor | float, config: ChunkConfig
) -> Loss:
    """Mean over critics and rows of valid * (Q - target)^2, the target reaching over all h steps of a chunk.

    Its discount is that of h steps even where a trajectory ends before. Chunks across such an end count as 0, and still
    count in the mean.
    """
    with torch.no_grad():
        next_values = critics.target(batch["next_observations"][:, -1], next_actions)
        future = aggregate(next_values, config.q_agg) - entropy_cost
        target = batch["rewards"][:, -1] + config.discount**config.horizon_length * batch["masks"][:, -1] * future
    values = critics.trained(batch["observations"], known_actions(batch, config))
    loss = (batch["valid"][:, -1] * (values - target).square()).mean()
    parts = {
        "critic/critic_loss": loss,
        "critic/q_mean": values.mean(),
        "critic/q_max": values.amax(),
        "critic/q_min": values.amin(),
        "values": values,
        "next_values": next_values,
        "next_actions": next_actions,
    }
    return loss, _constants(parts)


def known_actions(batch: Batch, config: ChunkConfig) -> Tensor:
    """What actor and critic know of a chunk's actions, flat: all of them [B, h A], or the first [B, A]."""
    return batch["actions"].flatten(1) if config.action_chunking else batch["actions"][:, 0]


def cloning_loss(field: Field, batch: Batch, noise: CloningNoise, config: ChunkConfig) -> Tensor:
    """Flow matching: mean squared error of the velocity on straight paths from noise to the data's actions.

    In chunks, actions behind the end of a trajectory count as 0.
    """
    actions, t = known_actions(batch, config), noise.times
    x = (1 - t) * noise.starts + t * actions
    context = field.context(batch["observations"], t[None])
    error = (field(x, 0, context) - (actions - noise.starts)).square()
    if not config.action_chunking:
        return error.mean()
    return (batch["valid"][:, :, None] * error.view_as(batch["actions"])).mean()


def acfql_loss(
    critics: Critics, flow: MlpField, actor: OneStepActor, batch: Batch, noise: AcfqlNoise, config: AcfqlConfig
) -> Loss:
    """QC-FQL and FQL (arXiv 2507.07969, 2502.02538); with the best of n, QC, whose actor is the imitating flow."""
    next_observations = batch["next_observations"][:, -1]
    with torch.no_grad():
        if config.actor_type == "best-of-n":
            choice = next_observations, noise.next_starts, config.flow_steps, config.q_agg
            next_actions = best_of_candidates(flow, critics.constant, *choice)
        else:
            next_actions = actor(next_observations, noise.next_starts).clamp(-1, 1)
    critic_loss, parts = bellman_loss(critics, batch, next_actions, 0.0, config)
    bc_loss = cloning_loss(flow, batch, noise.cloning, config)
    if config.actor_type == "best-of-n":
        return _joint(critic_loss, bc_loss, parts, bc_flow_loss=bc_loss)
    starts = _actor_starts(noise)
    actions = actor(batch["observations"], starts)
    distill_loss = _distance_to_flow(flow, batch, starts, actions, config)
    q_loss = -_mean_value(critics, batch, actions.clamp(-1, 1))
    actor_loss = bc_loss + config.alpha * distill_loss + q_loss
    return _joint(critic_loss, actor_loss, parts, bc_flow_loss=bc_loss, distill_loss=distill_loss)


def naive_imitation_loss(
    critics: Critics,
    flow: MlpField,
    actor: MlpField,
    weight: Tensor,
    batch: Batch,
    noise: AcfqlNoise,
    config: ChunkNaiveConfig,
) -> Loss:
    """As `acfql_loss`, of an actor that is a squashed flow itself; `weight` is that of the distance."""
    critic_loss, parts = _naive_critic_loss(critics, actor, batch, noise.next_starts, config)
    bc_loss = cloning_loss(flow, batch, noise.cloning, config)
    starts = _actor_starts(noise)
    actions = squashed_flow(actor, batch["observations"], starts, config.flow_one_step)
    distill_loss = _distance_to_flow(flow, batch, starts, actions, config)
    actor_loss = bc_loss + weight * distill_loss - _mean_value(critics, batch, actions)
    return _joint(critic_loss, actor_loss, parts, bc_flow_loss=bc_loss, distill_loss=distill_loss)


def naive_online_loss(
    critics: Critics, actor: MlpField, weight: Tensor, batch: Batch, noise: FlowOnlineNoise, config: ChunkNaiveConfig
) -> Loss:
    """The actor climbs the critic and stays near the data's actions themselves, valid or not."""
    critic_loss, parts = _naive_critic_loss(critics, actor, batch, noise.next_starts, config)
    actions = squashed_flow(actor, batch["observations"], noise.actor_starts, config.flow_one_step)
    distance = (actions - known_actions(batch, config)).square().mean()
    actor_loss = weight * distance - _mean_value(critics, batch, actions)
    return _joint(critic_loss, actor_loss, parts, distill_loss=distance)


def sac_imitation_loss(
    critics: Critics,
    field: Field,
    entropy_weight: Tensor,
    batch: Batch,
    noise: SacImitationNoise,
    config: SacFlowConfig,
) -> Loss:
    """The field imitates; the critics learn the soft value of its rollouts."""
    critic_loss, parts = _sac_critic_loss(critics, field, entropy_weight, batch, noise, config)
    bc_loss = cloning_loss(field, batch, noise.cloning, config)
    no_rollout = torch.zeros_like(bc_loss)  # of the actor: its entropy counts as 0 for what tunes the entropy's weight
    return _joint(critic_loss, bc_loss, parts, bc_flow_loss=bc_loss, actor_entropy=no_rollout)


def sac_online_loss(
    critics: Critics,
    field: Field,
    entropy_weight: Tensor,
    weight: Tensor,
    batch: Batch,
    noise: SacOnlineNoise,
    config: SacFlowConfig,
) -> Loss:
    """SAC's losses beside `weight` times the squared distance to the data's actions, valid or not.

    The actor's rollout is noisier than that of the Bellman target: their log-likelihoods differ by a constant.
    """
    critic_loss, parts = _sac_critic_loss(critics, field, entropy_weight, batch, noise, config)
    draw = noisy_rollout(field, batch["observations"], noise.actor_rollout, config.online_noise_std)
    distance = (draw.actions - known_actions(batch, config)).square().mean()
    log_prob = draw.log_probs.mean()
    q_loss = entropy_weight * log_prob - _mean_value(critics, batch, draw.actions)
    terms = {"distill_loss": distance, "q_loss": q_loss, "actor_entropy": -log_prob}
    return _joint(critic_loss, weight * distance + q_loss, parts, **terms)


def entropy_loss(entropy_weight: Tensor, log_prob: Tensor, config: SacFlowConfig) -> Tensor:
    """What tunes the weight of the entropy, from the mean log-likelihood of the actor's rollouts.

    SAC's own is weight * (entropy - target entropy); the official code has `log_prob` in the place of the entropy.
    """
    measured = log_prob if config.alpha_loss_sign == "upstream" else -log_prob
    return entropy_weight * (measured - config.target_entropy)


def _sac_critic_loss(
    critics: Critics,
    field: Field,
    entropy_weight: Tensor,
    batch: Batch,
    noise: SacImitationNoise | SacOnlineNoise,
    config: SacFlowConfig,
) -> Loss:
    with torch.no_grad():
        observations = batch["next_observations"][:, -1]
        draw = noisy_rollout(field, observations, noise.next_rollout, config.inference_noise_std)
    loss, parts = bellman_loss(critics, batch, draw.actions, entropy_weight * draw.log_probs, config)
    return loss, parts | {"next_log_probs": draw.log_probs}


def _naive_critic_loss(
    critics: Critics, actor: MlpField, batch: Batch, starts: Tensor, config: ChunkNaiveConfig
) -> Loss:
    with torch.no_grad():
        next_actions = squashed_flow(actor, batch["next_observations"][:, -1], starts, config.flow_one_step)
    return bellman_loss(critics, batch, next_actions, 0.0, config)


def _actor_starts(noise: AcfqlNoise) -> Tensor:
    """Of an agent that has an actor."""
    if noise.actor_starts is None:
        raise ValueError("an actor needs starts of its own; only the best of n does without")
    return noise.actor_starts


def _distance_to_flow(flow: MlpField, batch: Batch, starts: Tensor, actions: Tensor, config: AcfqlConfig) -> Tensor:
    """Mean squared distance of actions from where the imitating flow, a constant here, leads to from the same noise."""
    with torch.no_grad():
        imitated = follow(flow, batch["observations"], starts, config.flow_steps).clamp(-1, 1)
    return (actions - imitated).square().mean()


def _mean_value(critics: Critics, batch: Batch, actions: Tensor) -> Tensor:
    """Of all critics, also where the Bellman target takes their least; its gradient reaches the actions alone."""
    return critics.constant(batch["observations"], actions).mean()


def _joint(critic_loss: Tensor, actor_loss: Tensor, parts: Parts, **terms: Tensor) -> Loss:
    """The sum, which one optimizer minimises; the terms of the actor's loss are logged under their names."""
    actor_parts = {"actor/actor_loss": actor_loss, **{f"actor/{name}": value for name, value in terms.items()}}
    return critic_loss + actor_loss, parts | _constants(actor_parts)


def _constants(parts: Parts) -> Parts:
    return {name: value.detach() for name, value in parts.items()}
