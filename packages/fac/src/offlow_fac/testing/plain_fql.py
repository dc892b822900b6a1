"""FQL's update written out plainly."""

import jax.numpy as jnp

from offlow_core.jax.joint_noise import JointNoise
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.networks import Array
from offlow_core.testing.plain_jax import (
    Batch,
    Metrics,
    PlainState,
    adam_step,
    create,
    draw_noise,
    follow,
    network,
    one_step_actor_loss,
    values,
)
from offlow_fac.config import FqlConfig


def plain_state(state: JointState, config: FqlConfig, key: Array) -> PlainState:
    """The plain form of an agent's parameters, with fresh moments."""
    return create(state.params, {"target_critic": state.target}, {}, key, config.lr)


def update(state: PlainState, batch: Batch, config: FqlConfig) -> tuple[PlainState, Metrics]:
    """One update with its own draws."""
    key, noise = draw_noise(state.key, batch["actions"].shape)
    return update_with(state._replace(key=key), batch, noise, config)


def update_with(state: PlainState, batch: Batch, noise: JointNoise, config: FqlConfig) -> tuple[PlainState, Metrics]:
    """One joint Adam step; the target follows the critic as it was before."""

    def loss(params: dict) -> tuple[Array, Metrics]:
        critic_loss, critic_metrics = _critic_loss(params, state.params, batch, noise, config)
        weights = {"alpha": config.alpha, "flow_steps": config.flow_steps, "normalize": config.normalize_q_loss}
        actor_loss, actor_metrics = one_step_actor_loss(params, state.params, batch, noise.actor, **weights)
        sampled = network(state.params["actor_onestep_flow"]["mlp"], batch["observations"], noise.mse_action)
        mse = jnp.mean((jnp.clip(sampled, -1, 1) - batch["actions"]) ** 2)
        return critic_loss + actor_loss, critic_metrics | actor_metrics | {"actor/mse": mse}

    params, optimizer, metrics = adam_step(loss, state, config.lr)
    params = follow(params, "target_critic", state.params["critic"], config.tau)
    return state._replace(params=params, optimizer=optimizer), metrics


def _critic_loss(
    params: dict, constant: dict, batch: Batch, noise: JointNoise, config: FqlConfig
) -> tuple[Array, Metrics]:
    next_observations = batch["next_observations"]
    next_actions = network(constant["actor_onestep_flow"]["mlp"], next_observations, noise.next_action)
    next_qs = values(constant["target_critic"], next_observations, jnp.clip(next_actions, -1, 1))
    next_q = next_qs.min(0) if config.q_agg == "min" else next_qs.mean(0)
    target = batch["rewards"] + config.discount * batch["masks"] * next_q
    q = values(params["critic"], batch["observations"], batch["actions"])
    loss = jnp.mean((q - target) ** 2)
    metrics = {"critic_loss": loss, "q_mean": q.mean(), "q_max": q.max(), "q_min": q.min()}
    return loss, {f"critic/{name}": value for name, value in metrics.items()}
