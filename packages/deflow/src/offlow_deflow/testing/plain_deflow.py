"""DeFlow's update written out plainly, and its actor, which DeFlow-VF has too."""

import jax
import jax.numpy as jnp

from offlow_core.jax.joint_noise import ActorNoise, JointNoise
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.networks import Array
from offlow_core.testing.plain_jax import (
    Batch,
    Metrics,
    PlainState,
    adam_step,
    create,
    critic_loss,
    draw_noise,
    flow_actions,
    follow,
    network,
    q_loss,
    values,
)
from offlow_deflow.config import DeFlowConfig, RefinementConfig


def plain_state(state: JointState, config: DeFlowConfig, key: Array) -> PlainState:
    """The plain form of an agent's parameters, with fresh moments."""
    return create(state.params, {"target_critic": state.target}, {}, key, config.lr)


def update(state: PlainState, batch: Batch, config: DeFlowConfig) -> tuple[PlainState, Metrics]:
    """One update with its own draws."""
    key, noise = draw_noise(state.key, batch["actions"].shape)
    return update_with(state._replace(key=key), batch, noise, config)


def update_with(state: PlainState, batch: Batch, noise: JointNoise, config: DeFlowConfig) -> tuple[PlainState, Metrics]:
    """One joint Adam step; the target follows the critic as it was before."""

    def loss(params: dict) -> tuple[Array, Metrics]:
        next_actions = policy(state.params, batch["next_observations"], noise.next_action, config)
        critic, critic_metrics = critic_loss(
            params, state.params, batch, next_actions, discount=config.discount, q_agg=config.q_agg
        )
        actor, actor_metrics = actor_loss(params, state.params, batch, noise.actor, config)
        mse = action_error(state.params, batch, noise.mse_action, config)
        return critic + actor, critic_metrics | actor_metrics | {"actor/mse": mse}

    params, optimizer, metrics = adam_step(loss, state, config.lr)
    params = follow(params, "target_critic", state.params["critic"], config.tau)
    return state._replace(params=params, optimizer=optimizer), metrics


def policy(params: dict, observations: Array, z: Array, config: RefinementConfig) -> Array:
    """The refined policy's actions [B, A]."""
    base = flow_actions(params["actor_bc_flow"]["mlp"], observations, z, config.flow_steps)
    return jnp.clip(base + network(params["refine_onestep_flow"]["mlp"], observations, base), -1, 1)


def action_error(params: dict, batch: Batch, z: Array, config: RefinementConfig) -> Array:
    """Mean squared distance of the policy's actions from the dataset's."""
    return jnp.mean((policy(params, batch["observations"], z, config) - batch["actions"]) ** 2)


def actor_loss(
    params: dict, constant: dict, batch: Batch, noise: ActorNoise, config: RefinementConfig
) -> tuple[Array, Metrics]:
    """Cloning, value, penalty and multiplier."""
    observations = batch["observations"]
    x_t = (1 - noise.t) * noise.x0 + noise.t * batch["actions"]
    velocity = network(params["actor_bc_flow"]["mlp"], observations, x_t, noise.t)
    bc_flow_loss = jnp.mean((velocity - (batch["actions"] - noise.x0)) ** 2)

    base = flow_actions(constant["actor_bc_flow"]["mlp"], observations, noise.start, config.flow_steps)
    step = network(params["refine_onestep_flow"]["mlp"], observations, base)
    divergence = jnp.mean(step**2)
    q = values(constant["critic"], observations, jnp.clip(base + step, -1, 1)).mean(0)
    q_term = q_loss(q, normalize=config.normalize_q_loss)

    log_alpha = params["log_alpha"]["value"][0]
    alpha = jnp.exp(constant["log_alpha"]["value"][0])
    alpha_loss = -log_alpha * (jax.lax.stop_gradient(divergence) - config.allowed_divergence)
    loss = bc_flow_loss + alpha * divergence + q_term + alpha_loss
    metrics = {
        "actor_loss": loss,
        "bc_flow_loss": bc_flow_loss,
        "distill_loss": divergence,
        "q_loss": q_term,
        "q": q.mean(),
        "alpha_loss": alpha_loss,
        "alpha_value": alpha,
    }
    return loss, {f"actor/{name}": value for name, value in metrics.items()}
