"""The updates of DeFlow-VF and floq written out plainly. Plain velocity networks only, not residual ones."""

import jax
import jax.numpy as jnp

from offlow_core.jax.joint_training import JointState
from offlow_core.jax.networks import Array
from offlow_core.testing.plain_jax import (
    Batch,
    Metrics,
    PlainState,
    adam_step,
    create,
    follow,
    network,
    one_step_actor_loss,
    values,
)
from offlow_deflow.config import DeFlowVfConfig, FloqConfig, ReturnFlowConfig
from offlow_deflow.return_flow import ReturnRange, return_features, time_features
from offlow_deflow.return_flow_losses import FlowCriticNoise, ReturnNoise
from offlow_deflow.testing import plain_deflow


def plain_state(state: JointState, config: ReturnFlowConfig, key: Array) -> PlainState:
    """The plain form of an agent's parameters, with fresh moments."""
    return create(state.params, {"target_floq": state.target}, {}, key, config.lr)


def draw_vf_noise(key: Array, shape: tuple[int, ...], repeats: int) -> tuple[Array, FlowCriticNoise]:
    """The next key and the draws of one update, a key for each."""
    key, *keys = jax.random.split(key, 9)
    rows = shape[0] * repeats
    returns = ReturnNoise(*(jax.random.uniform(k, (rows, 1)) for k in keys[1:4]))
    x0, base, mse = (jax.random.normal(k, shape) for k in keys[4:7])
    next_action = jax.random.normal(keys[0], (rows, shape[1]))
    return key, FlowCriticNoise(next_action, returns, x0, jax.random.uniform(keys[7], (shape[0], 1)), base, mse)


def update_vf(state: PlainState, batch: Batch, config: DeFlowVfConfig) -> tuple[PlainState, Metrics]:
    """One update of DeFlow-VF with its own draws."""
    key, noise = draw_vf_noise(state.key, batch["actions"].shape, config.noise_samples)
    return update_vf_with(state._replace(key=key), batch, noise, config)


def update_vf_with(
    state: PlainState, batch: Batch, noise: FlowCriticNoise, config: DeFlowVfConfig
) -> tuple[PlainState, Metrics]:
    """One joint Adam step of DeFlow-VF; the target follows the flow critic as it was before."""

    def loss(params: dict) -> tuple[Array, Metrics]:
        next_observations = jnp.repeat(batch["next_observations"], config.noise_samples, axis=0)
        next_actions = plain_deflow.policy(state.params, next_observations, noise.next_action, config)
        critic, critic_metrics = _critic_loss(params, state.params, batch, next_actions, noise.returns, config)
        actor, actor_metrics = plain_deflow.actor_loss(params, state.params, batch, noise.actor, config)
        mse = plain_deflow.action_error(state.params, batch, noise.mse_action, config)
        return critic + actor, critic_metrics | actor_metrics | {"actor/mse": mse}

    params, optimizer, metrics = adam_step(loss, state, config.lr)
    params = follow(params, "target_floq", state.params["floq"], config.tau)
    return state._replace(params=params, optimizer=optimizer), metrics


def update_floq_with(
    state: PlainState, batch: Batch, noise: FlowCriticNoise, config: FloqConfig
) -> tuple[PlainState, Metrics]:
    """One joint Adam step of floq; the target follows the flow critic as it was before."""

    def loss(params: dict) -> tuple[Array, Metrics]:
        actor_net, next_observations = state.params["actor_onestep_flow"]["mlp"], batch["next_observations"]
        next_observations = jnp.repeat(next_observations, config.noise_samples, axis=0)
        next_actions = jnp.clip(network(actor_net, next_observations, noise.next_action), -1, 1)
        critic, critic_metrics = _critic_loss(params, state.params, batch, next_actions, noise.returns, config)
        weights = {"alpha": config.alpha, "flow_steps": config.actor_flow_steps}
        actor, actor_metrics = one_step_actor_loss(
            params, state.params, batch, noise.actor, **weights, normalize=config.normalize_q_loss
        )
        sampled = jnp.clip(network(actor_net, batch["observations"], noise.mse_action), -1, 1)
        mse = jnp.mean((sampled - batch["actions"]) ** 2)
        return critic + actor, critic_metrics | actor_metrics | {"actor/mse": mse}

    params, optimizer, metrics = adam_step(loss, state, config.lr)
    params = follow(params, "target_floq", state.params["floq"], config.tau)
    return state._replace(params=params, optimizer=optimizer), metrics


def _velocity(floq: dict, observations: Array, actions: Array, z: Array, u: Array, config: ReturnFlowConfig) -> Array:
    """w_j [E, N, 1] of every member at its own returns z [E, N, 1] and the times u [N, 1]."""

    def of_member(member: dict, z: Array) -> Array:
        return network(member, observations, actions, return_features(z, config), time_features(u, config))

    return jax.vmap(of_member)(floq["mlp"], z)


def _integrate(floq: dict, observations: Array, actions: Array, ratio: Array, config: ReturnFlowConfig) -> Array:
    """Returns [E, N] after all Euler steps."""
    z = jnp.tile(ReturnRange.of(config).start(ratio), (config.flow_num_ensembles, 1, 1))
    for i in range(config.critic_flow_steps):
        u = jnp.full((len(observations), 1), i / config.critic_flow_steps)
        z = z + _velocity(floq, observations, actions, z, u, config) / config.critic_flow_steps
    return z.squeeze(-1)


def _critic_loss(
    params: dict, constant: dict, batch: Batch, next_actions: Array, noise: ReturnNoise, config: ReturnFlowConfig
) -> tuple[Array, Metrics]:
    repeats = config.noise_samples
    observations, actions, next_observations, rewards, masks = (
        jnp.repeat(batch[name], repeats, axis=0)
        for name in ("observations", "actions", "next_observations", "rewards", "masks")
    )
    members = _integrate(constant["target_floq"], next_observations, next_actions, noise.next_ratio, config)
    next_returns = members.min(0) if config.q_agg == "min" else members.mean(0)
    y = (rewards + config.discount * masks * next_returns).reshape(-1, repeats).mean(-1)
    returns = _integrate(constant["floq"], observations, actions, noise.ratio, config)
    returns = returns.reshape(config.flow_num_ensembles, -1, repeats)

    start, end = ReturnRange.of(config).start(noise.ratio), jnp.repeat(y, repeats)[:, None]
    u = jnp.zeros_like(noise.time) if config.train_at_zero_only else noise.time
    z = jnp.tile((1 - u) * start + u * end, (config.flow_num_ensembles, 1, 1))
    error = (_velocity(params["floq"], observations, actions, z, u, config) - (end - start)) ** 2
    floq_loss = error.reshape(config.flow_num_ensembles, -1, repeats).sum(-1)
    q = values(params["critic"], batch["observations"], batch["actions"])
    distilled_loss = (q - returns.mean((0, 2))) ** 2

    loss = jnp.mean(floq_loss + distilled_loss)
    metrics = {
        "floq_loss": floq_loss.mean(),
        "distilled_critic_loss": distilled_loss.mean(),
        "critic_loss": loss,
        "q": q.mean(),
        "var_flow_returns": returns.mean(0).var(-1).mean(),
        "td_error": jnp.mean((returns.mean((0, 2)) - y) ** 2),
    }
    return loss, {f"critic/{name}": value for name, value in metrics.items()}
