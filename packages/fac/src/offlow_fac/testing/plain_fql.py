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
    critic_loss,
    draw_noise,
    follow,
    network,
    one_step_actor_loss,
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
        actor = state.params["actor_onestep_flow"]["mlp"]
        next_actions = jnp.clip(network(actor, batch["next_observations"], noise.next_action), -1, 1)
        critic, critic_metrics = critic_loss(
            params, state.params, batch, next_actions, discount=config.discount, q_agg=config.q_agg
        )
        weights = {"alpha": config.alpha, "flow_steps": config.flow_steps, "normalize": config.normalize_q_loss}
        actor_loss, actor_metrics = one_step_actor_loss(params, state.params, batch, noise.actor, **weights)
        sampled = network(actor, batch["observations"], noise.mse_action)
        mse = jnp.mean((jnp.clip(sampled, -1, 1) - batch["actions"]) ** 2)
        return critic + actor_loss, critic_metrics | actor_metrics | {"actor/mse": mse}

    params, optimizer, metrics = adam_step(loss, state, config.lr)
    params = follow(params, "target_critic", state.params["critic"], config.tau)
    return state._replace(params=params, optimizer=optimizer), metrics
