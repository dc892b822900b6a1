"""The losses of Flow Q-Learning (Park et al., ICML 2025, arXiv 2502.02538) as pure functions.

Trainable parameters come first, everything else is frozen; all random draws are arguments. Behaviour flow, one-step
actor and critic are trained by one joint loss.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from offlow_core.jax.critics import aggregate, bellman_target, critic_values, encode, scaled_q_loss
from offlow_core.jax.encoders import Impala
from offlow_core.jax.flows import FlowCondition, flow_actions, flow_matching_loss
from offlow_core.jax.networks import Array, apply_mlp
from offlow_fac.config import FqlConfig

Batch = dict[str, Array]
Intermediates = dict[str, Array]


class FqlNoise(NamedTuple):
    """Draws of one update: normals [B, A] and the flow-matching times t [B, 1], uniform in [0, 1).

    `mse_action` serves a logged metric only.
    """

    next_action: Array
    x0: Array
    t: Array
    actor: Array
    mse_action: Array


def joint_loss(
    params: dict, target_critic: dict, batch: Batch, noise: FqlNoise, config: FqlConfig, encoder: Impala | None
) -> tuple[Array, Intermediates]:
    """Critic plus actor loss; each image is encoded once per network."""
    critic_features = encode(encoder, params["critic"], batch["observations"])
    critic_loss, critic_parts = _critic_loss(params, critic_features, target_critic, batch, noise, config, encoder)
    critic = jax.lax.stop_gradient((params["critic"], critic_features))
    actor_loss, actor_parts = _actor_loss(params, critic, batch, noise, config, encoder)
    total = critic_loss + actor_loss
    return total, {**critic_parts, **actor_parts, "loss": total}


def _critic_loss(
    params: dict,
    features: Array,
    target_critic: dict,
    batch: Batch,
    noise: FqlNoise,
    config: FqlConfig,
    encoder: Impala | None,
) -> tuple[Array, Intermediates]:
    """mean (Q_j(s, a) - r - discount * mask * agg_j Q'_j(s', a'))^2 with a' from the one-step actor, constant."""
    actor = jax.lax.stop_gradient(params["actor_onestep_flow"])
    next_observations = batch["next_observations"]
    next_actions = apply_mlp(actor["mlp"], encode(encoder, actor, next_observations), noise.next_action)
    next_actions = jnp.clip(next_actions, -1, 1)
    next_qs = critic_values(target_critic, encode(encoder, target_critic, next_observations), next_actions)
    next_q = aggregate(next_qs, config.q_agg)
    targets = bellman_target(batch["rewards"], batch["masks"], next_q, config.discount)
    q = critic_values(params["critic"], features, batch["actions"])
    loss = jnp.mean((q - targets) ** 2)
    return loss, {"next_actions": next_actions, "next_qs": next_qs, "q_pred": q, "critic_loss": loss}


def _actor_loss(
    params: dict,
    critic: tuple[dict, Array],
    batch: Batch,
    noise: FqlNoise,
    config: FqlConfig,
    encoder: Impala | None,
) -> tuple[Array, Intermediates]:
    """Flow matching + alpha * |a_1 - a_F|^2 - Q(s, clip a_1), `critic` being constant parameters and features.

    The flow learns from flow matching alone: its action a_F is a constant of the distillation.
    """
    flow_params, flow_features = behaviour_parts(params, batch["observations"], encoder)
    bc_flow_loss = flow_matching_loss(flow_params, flow_features, batch["actions"], noise.x0, noise.t)
    flow = FlowCondition(*jax.lax.stop_gradient((flow_params, flow_features)))
    flow_target = flow_actions(flow, noise.actor, config.flow_steps)
    actor = params["actor_onestep_flow"]
    actions = apply_mlp(actor["mlp"], encode(encoder, actor, batch["observations"]), noise.actor)
    distill_loss = jnp.mean((actions - flow_target) ** 2)
    q = critic_values(*critic, jnp.clip(actions, -1, 1)).mean(0)
    q_loss = scaled_q_loss(q, normalize=config.normalize_q_loss, epsilon=config.q_norm_epsilon)
    loss = bc_flow_loss + config.alpha * distill_loss + q_loss
    parts = {"actor_actions": actions, "target_flow_actions": flow_target, "actor_loss": loss, "q": q.mean()}
    return loss, parts | {"bc_flow_loss": bc_flow_loss, "distill_loss": distill_loss, "q_loss": q_loss}


def behaviour_parts(params: dict, observations: Array, encoder: Impala | None) -> tuple[dict, Array]:
    """Parameters of the behaviour flow and its features of the observations; its encoder is a module of its own."""
    features = observations if encoder is None else encoder.apply(params["actor_bc_flow_encoder"], observations)
    return params["actor_bc_flow"]["mlp"], features


def behaviour_condition(params: dict, encoder: Impala | None, observations: Array) -> FlowCondition:
    """The behaviour flow given observations [B, ...]."""
    return FlowCondition(*behaviour_parts(params, observations, encoder))
