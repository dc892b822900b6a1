"""The losses of Flow Actor-Critic (Chae et al., ICLR 2026, arXiv 2602.18015) as pure functions.

Trainable parameters come first, everything else is frozen; all random draws are arguments. Each loss returns its value
and the intermediate arrays from which the metrics are made.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from offlow_core.jax.critics import aggregate, bellman_target, critic_values, encode, scaled_q_loss
from offlow_core.jax.encoders import Impala
from offlow_core.jax.flows import FlowCondition, flow_actions, flow_matching_loss, log_density
from offlow_core.jax.networks import Array, apply_mlp
from offlow_fac.config import FacConfig

Batch = dict[str, Array]
Intermediates = dict[str, Array]

EXPONENTS = {"logarithmic": 1.0, "convex": 0.5, "concave": 2.0}


class FlowNoise(NamedTuple):
    """Draws of one behaviour-flow update: x0 [B, A] normal, t [B, 1] uniform in [0, 1)."""

    x0: Array
    t: Array


class ActorCriticNoise(NamedTuple):
    """Draws of one actor-critic update: normals [B, A], and Hutchinson probes [N, B, P, A] where they are needed."""

    next_action: Array
    penalty_action: Array
    actor: Array
    penalty_probes: Array | None = None
    threshold_probes: Array | None = None


class Frozen(NamedTuple):
    """What the actor-critic losses read and do not train."""

    target_critic: dict
    behaviour: dict


def behaviour_features(behaviour: dict, encoder: Impala | None, observations: Array) -> Array:
    """What the behaviour flow sees of the observations [B, ...]; its encoder is a module of its own."""
    return observations if encoder is None else encoder.apply(behaviour["bc_flow_encoder"], observations)


def behaviour_condition(behaviour: dict, encoder: Impala | None, observations: Array) -> FlowCondition:
    """The behaviour flow given observations [B, ...]."""
    return FlowCondition(behaviour["bc_flow"]["mlp"], behaviour_features(behaviour, encoder, observations))


def behaviour_flow_loss(
    behaviour: dict, encoder: Impala | None, batch: Batch, noise: FlowNoise
) -> tuple[Array, Intermediates]:
    """Flow matching towards the dataset's actions (phase 1)."""
    features = behaviour_features(behaviour, encoder, batch["observations"])
    loss = flow_matching_loss(behaviour["bc_flow"]["mlp"], features, batch["actions"], noise.x0, noise.t)
    return loss, {"bc_flow_loss": loss}


def out_of_support_weight(log_density_gap: Array, weight_type: str) -> Array:
    """Penalty weight in [0, 1]: 0 where log beta(a) - log eps >= 0, growing to 1 far out of the behaviour's support.

    linear: 1 - exp(gap); otherwise 1 - log2(1 + exp(gap)^T). exp may overflow to infinity, which the clip turns into 0.
    """
    ratio = jnp.exp(log_density_gap)
    fraction = ratio if weight_type == "linear" else jnp.log2(1 + ratio ** EXPONENTS[weight_type])
    return jnp.clip(1 - fraction, 0, 1)


def log_threshold(batch: Batch, config: FacConfig, online_log_density: Array | None) -> Array:
    """log eps [B] below which an action counts as out of support.

    Online the densities come from the current flow, and every threshold but the adaptive one is the batch's least: the
    dataset's least would need a pass over the whole buffer at every step.
    """
    own = batch["estimated_logp"] if online_log_density is None else online_log_density
    if config.fac_threshold == "batch_adaptive":
        return own
    if config.fac_threshold == "dataset_wide_constant" and online_log_density is None:
        return batch["estimated_logp_min"]
    return jnp.broadcast_to(own.min(), own.shape)


def actor_critic_loss(
    params: dict,
    frozen: Frozen,
    batch: Batch,
    noise: ActorCriticNoise,
    config: FacConfig,
    encoder: Impala | None,
    *,
    online: bool = False,
) -> tuple[Array, Intermediates]:
    """Critic plus actor loss of one joint step: both see the same parameters (the official code does not alternate).

    Each image is encoded once per network, and the actions without gradient come from one pass.
    """
    flow = behaviour_condition(frozen.behaviour, encoder, batch["observations"])
    actor_features = encode(encoder, params["actor_onestep"], batch["observations"])
    critic_features = encode(encoder, params["critic"], batch["observations"])
    constant_actions = _constant_actions(params, actor_features, batch, noise, config, encoder)
    targets, target_parts = _targets(frozen, batch, constant_actions[0], config, encoder)
    critic = partial(_critic_loss, params["critic"], critic_features, batch["actions"], targets)
    if penalises(config):
        penalty_actions = constant_actions[1]
        weight, density_parts = _penalty_weight(flow, batch, penalty_actions, noise, config, online)
        critic_loss, critic_parts = critic((penalty_actions, config.fac_alpha * weight))
        critic_parts |= density_parts
    else:
        critic_loss, critic_parts = critic()
    actor_loss, actor_parts = _actor_loss(params, actor_features, critic_features, flow, noise.actor, config)
    total = critic_loss + actor_loss
    return total, {**target_parts, **critic_parts, **actor_parts, "loss": total}


def penalises(config: FacConfig) -> bool:
    """Whether the critic is penalised at all; without a penalty the reverse solve is skipped."""
    return config.use_cp and config.fac_alpha > 0


def _constant_actions(
    params: dict,
    actor_features: Array,
    batch: Batch,
    noise: ActorCriticNoise,
    config: FacConfig,
    encoder: Impala | None,
) -> Array:
    """Clipped actions a' at s' and, for the penalty, a_p at s, [1 or 2, B, A]; constants as far as the actor goes."""
    actor, actor_features = jax.lax.stop_gradient((params["actor_onestep"], actor_features))
    features = [encode(encoder, actor, batch["next_observations"])]
    draws = [noise.next_action]
    if penalises(config):
        features.append(actor_features)
        draws.append(noise.penalty_action)
    return jnp.clip(apply_mlp(actor["mlp"], jnp.stack(features), jnp.stack(draws)), -1, 1)


def _targets(
    frozen: Frozen, batch: Batch, next_actions: Array, config: FacConfig, encoder: Impala | None
) -> tuple[Array, Intermediates]:
    features = encode(encoder, frozen.target_critic, batch["next_observations"])
    next_qs = critic_values(frozen.target_critic, features, next_actions)
    next_q = aggregate(next_qs, config.q_agg)
    targets = bellman_target(batch["rewards"], batch["masks"], next_q, config.discount)
    return targets, {"next_actions": next_actions, "next_qs": next_qs}


def _penalty_weight(
    flow: FlowCondition,
    batch: Batch,
    penalty_actions: Array,
    noise: ActorCriticNoise,
    config: FacConfig,
    online: bool,
) -> tuple[Array, Intermediates]:
    """w(s, a_p) [B] from the behaviour's log-density at the policy's action and the threshold."""
    online_density = None
    if online:
        online_density = log_density(flow, batch["actions"], config.flow_steps, noise.threshold_probes)
    threshold = log_threshold(batch, config, online_density)
    policy_density = log_density(flow, penalty_actions, config.flow_steps, noise.penalty_probes)
    weight = out_of_support_weight(policy_density - threshold, config.weight_type)
    parts = {"logp_pi": policy_density, "logp_beta": threshold, "weight": weight}
    if online_density is not None:
        parts["logp_beta_per_sample"] = online_density
    return weight, parts


def _critic_loss(
    critic: dict,
    features: Array,
    actions: Array,
    targets: Array,
    penalised: tuple[Array, Array] | None = None,
) -> tuple[Array, Intermediates]:
    """mean (Q_j(s, a) - y)^2 + mean weight * Q_j(s, a_p), means over members and batch.

    `penalised` are a_p [B, A] and the weight [B], which includes alpha.
    """
    if penalised is None:
        q = critic_values(critic, features, actions)
        loss = jnp.mean((q - targets) ** 2)
        return loss, {"q_pred": q, "critic_loss": loss}
    penalty_actions, weight = penalised
    values = critic_values(critic, features, jnp.stack([actions, penalty_actions]))
    q, penalty_q = values[:, 0], values[:, 1]
    penalty = jnp.mean(weight * penalty_q)
    loss = jnp.mean((q - targets) ** 2) + penalty
    parts = {"q_pred": q, "critic_loss": loss, "penalty_mean": penalty}
    return loss, parts | {"penalty_actions": penalty_actions, "qs_penalty": penalty_q}


def _actor_loss(
    params: dict,
    actor_features: Array,
    critic_features: Array,
    flow: FlowCondition,
    z: Array,
    config: FacConfig,
) -> tuple[Array, Intermediates]:
    """lambda * |a_1 - a_F|^2 - Q(s, clip a_1); a_1 is unclipped there, the flow's a_F from the same z is clipped."""
    actions = apply_mlp(params["actor_onestep"]["mlp"], actor_features, z)
    flow_target = flow_actions(flow, z, config.flow_steps)
    distill_loss = jnp.mean((actions - flow_target) ** 2) if config.distil_loss else jnp.zeros(())
    parts = {"actor_actions": actions, "target_flow_actions": flow_target}
    critic = jax.lax.stop_gradient(params["critic"])
    q = critic_values(critic, jax.lax.stop_gradient(critic_features), jnp.clip(actions, -1, 1)).mean(0)
    q_loss = scaled_q_loss(q, normalize=config.normalize_q_loss, epsilon=config.q_norm_epsilon)
    loss = config.fac_lambda * distill_loss + q_loss
    return loss, parts | {"actor_loss": loss, "distill_loss": distill_loss, "q_loss": q_loss, "q": q.mean()}
