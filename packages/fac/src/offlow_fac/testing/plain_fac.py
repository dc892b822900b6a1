"""FAC's actor-critic update written out plainly."""

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import Array
from offlow_core.testing.plain_jax import (
    Batch,
    Metrics,
    PlainState,
    adam_step,
    create,
    flow_actions,
    follow,
    log_density,
    network,
    q_loss,
    values,
)
from offlow_fac.config import FacConfig
from offlow_fac.fac import FacState
from offlow_fac.fac_losses import ActorCriticNoise, out_of_support_weight


def plain_state(state: FacState, config: FacConfig, key: Array) -> PlainState:
    """The plain form of an agent's parameters, with fresh moments."""
    return create(state.params, {"target_critic": state.target_critic}, state.behaviour, key, config.lr)


def draw_noise(key: Array, shape: tuple[int, ...]) -> tuple[Array, ActorCriticNoise]:
    """The next key and the draws [B, A] of one update without probes, a key for each."""
    key, next_key, penalty_key, actor_key = jax.random.split(key, 4)
    return key, ActorCriticNoise(*(jax.random.normal(k, shape) for k in (next_key, penalty_key, actor_key)))


def update(state: PlainState, batch: Batch, config: FacConfig) -> tuple[PlainState, Metrics]:
    """One update with its own draws (exact divergences)."""
    key, noise = draw_noise(state.key, batch["actions"].shape)
    return update_with(state._replace(key=key), batch, noise, config)


def update_with(
    state: PlainState, batch: Batch, noise: ActorCriticNoise, config: FacConfig
) -> tuple[PlainState, Metrics]:
    """One joint Adam step; the target follows the updated critic."""

    def loss(params: dict) -> tuple[Array, Metrics]:
        critic_loss, critic_metrics = _critic_loss(params, state.params, state.frozen, batch, noise, config)
        actor_loss, actor_metrics = _actor_loss(params, state.params, state.frozen, batch, noise, config)
        return critic_loss + actor_loss, critic_metrics | actor_metrics

    params, optimizer, metrics = adam_step(loss, state, config.lr)
    params = follow(params, "target_critic", params["critic"], config.tau)
    return state._replace(params=params, optimizer=optimizer), metrics


def _critic_loss(
    params: dict, constant: dict, frozen: dict, batch: Batch, noise: ActorCriticNoise, config: FacConfig
) -> tuple[Array, Metrics]:
    actor, flow = constant["actor_onestep"]["mlp"], frozen["bc_flow"]["mlp"]
    observations, next_observations = batch["observations"], batch["next_observations"]
    next_actions = jnp.clip(network(actor, next_observations, noise.next_action), -1, 1)
    next_qs = values(constant["target_critic"], next_observations, next_actions)
    next_q = next_qs.min(0) if config.q_agg == "min" else next_qs.mean(0)
    target = batch["rewards"] + config.discount * batch["masks"] * next_q
    q = values(params["critic"], observations, batch["actions"])

    penalty_actions = jnp.clip(network(actor, observations, noise.penalty_action), -1, 1)
    density = log_density(flow, observations, penalty_actions, config.flow_steps, noise.penalty_probes)
    threshold = _threshold(batch, config)
    weight = out_of_support_weight(density - threshold, config.weight_type)
    penalty = jnp.mean(config.fac_alpha * weight * values(params["critic"], observations, penalty_actions))

    loss = jnp.mean((q - target) ** 2) + penalty
    metrics = {"critic_loss": loss, "penalty_mean": penalty, "q_mean": q.mean(), "q_max": q.max(), "q_min": q.min()}
    densities = {"diff_logpi": density - threshold, "est_logpi": density, "est_logbeta": threshold}
    for name, x in densities.items():
        metrics |= {f"{name}_mean": x.mean(), f"{name}_max": x.max(), f"{name}_min": x.min()}
    return loss, {f"critic/{name}": value for name, value in metrics.items()}


def _threshold(batch: Batch, config: FacConfig) -> Array:
    """log eps [B] offline."""
    own = batch["estimated_logp"]
    if config.fac_threshold == "batch_adaptive":
        return own
    if config.fac_threshold == "dataset_wide_constant":
        return batch["estimated_logp_min"]
    return jnp.full(own.shape, own.min())


def _actor_loss(
    params: dict, constant: dict, frozen: dict, batch: Batch, noise: ActorCriticNoise, config: FacConfig
) -> tuple[Array, Metrics]:
    observations = batch["observations"]
    actions = network(params["actor_onestep"]["mlp"], observations, noise.actor)
    flow_target = flow_actions(frozen["bc_flow"]["mlp"], observations, noise.actor, config.flow_steps)
    distill_loss = jnp.mean((actions - flow_target) ** 2)
    q = values(constant["critic"], observations, jnp.clip(actions, -1, 1)).mean(0)
    q_term = q_loss(q, normalize=config.normalize_q_loss)
    loss = config.fac_lambda * distill_loss + q_term
    metrics = {"actor_loss": loss, "distill_loss": distill_loss, "q_loss": q_term, "q": q.mean()}
    return loss, {f"actor/{name}": value for name, value in metrics.items()}
