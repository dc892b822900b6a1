"""DAC's update as one would first write it down: nothing is shared between calls, hoisted or merged.

Networks see concatenated inputs, observations are repeated row by row, the gradient of Q is taken for each sample by
itself, the reverse process is a Python loop. For the plain noise network and DDPM; tests hold it equal to the fast one.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from offlow_core.jax.networks import Array, Params, depth
from offlow_core.jax.updates import Metrics
from offlow_dac.config import DacConfig
from offlow_dac.dac import Dac, DacNoise, DacState
from offlow_dac.networks import time_features
from offlow_dac.schedules import make_schedule

EPSILON = 1e-6
Batch = dict[str, Array]


class PlainState(NamedTuple):
    """The agent's state and the key of its draws."""

    agent: DacState
    key: Array


def network(params: Params, x: Array) -> Array:
    """A multi-layer perceptron with x tanh(log(1 + e^x)) between its layers."""
    for i in range(depth(params)):
        x = x @ params[f"Dense_{i}"]["kernel"] + params[f"Dense_{i}"]["bias"]
        if i < depth(params) - 1:
            x = x * jnp.tanh(jax.nn.softplus(x))
    return x


def predicted_noise(actor: dict, config: DacConfig, observations: Array, x: Array, t: Array) -> Array:
    """e(s, x, t) [B, A] for steps t [B]."""
    time = network(actor["time_net"], time_features(t.astype(jnp.float32), config.time_dim))
    return network(actor["noise_net"], jnp.concatenate([observations, x, time], 1))


def values(critic: Params, observations: Array, actions: Array) -> Array:
    """Q [H, B]."""
    inputs = jnp.concatenate([observations, actions], -1)
    return jax.vmap(lambda member: network(member, inputs).squeeze(-1))(critic)


def denoised(actor: dict, config: DacConfig, observations: Array, x: Array, z: Array, *, clip: bool) -> Array:
    """DDPM from the prior x [B, A] with draws z [T, B, A]."""
    schedule = make_schedule(config.beta_schedule, config.T)
    alphas, hats = schedule.alphas, schedule.alpha_hats
    for i, t in enumerate(range(config.T, 0, -1)):
        e = predicted_noise(actor, config, observations, x, jnp.full(len(x), t))
        action = (x - jnp.sqrt(1 - hats[t]) * e) / jnp.sqrt(hats[t])
        action = jnp.clip(action, -1, 1) if clip else action
        from_action = jnp.sqrt(hats[t - 1]) * (1 - alphas[t]) * action
        x = (from_action + jnp.sqrt(alphas[t]) * (1 - hats[t - 1]) * x) / (1 - hats[t])
        if t > 1:
            x = x + jnp.sqrt(1 - alphas[t]) * z[i]
    return x


def critic_loss(critic: Params, state: DacState, batch: Batch, noise: DacNoise, config: DacConfig):
    """The squared Bellman error of every member against one target."""
    draws, samples = noise.critic, config.num_q_samples
    next_observations = jnp.repeat(batch["next_observations"], samples, axis=0)
    actions = denoised(state.actor_target, config, next_observations, draws.prior, draws.z, clip=config.clip_sampler)
    next_qs = values(state.critic_target, next_observations, actions).reshape(config.num_qs, -1, samples)
    next_v = next_qs.max(-1) if config.maxQ else next_qs.mean(-1)
    target = batch["rewards"] + config.discount * batch["masks"] * (next_v.mean(0) - config.rho * next_v.std(0))
    q = values(critic, batch["observations"], batch["actions"])
    loss = jnp.mean((q - target) ** 2)
    return loss, {"critic/critic_loss": loss, "critic/qs": q.mean(), "critic/qs_std": q.std(0).mean()}


def actor_loss(actor: dict, state: DacState, batch: Batch, noise: DacNoise, config: DacConfig):
    """Noise regression weighted by eta, and the guidance of noisy actions by the critics (soft or hard)."""
    draws, observations = noise.actor, batch["observations"]
    hats = jnp.asarray(make_schedule(config.beta_schedule, config.T).alpha_hats)[draws.t][:, None]
    x = jnp.sqrt(hats) * batch["actions"] + jnp.sqrt(1 - hats) * draws.eps
    e = predicted_noise(actor, config, observations, x, draws.t)
    bc_loss = jnp.mean((e - draws.eps) ** 2)
    q_norm = jnp.abs(values(state.critic_target, observations, batch["actions"])).mean()

    def of_sample(observation: Array, action: Array) -> Array:
        return values(state.critic_target, observation[None], action[None]).mean()

    gradient = jax.vmap(jax.grad(of_sample, argnums=1))(observations, x) / (q_norm + EPSILON)
    guidance = jnp.mean((jnp.sqrt(1 - hats) if config.Q_guidance == "soft" else 1.0) * gradient * e)
    loss = state.eta * bc_loss + guidance
    parts = {"actor_loss": loss, "bc_loss": bc_loss, "guidance_loss": guidance, "eta": state.eta, "Q_norm": q_norm}
    parts |= {"Q_grad": gradient.mean(), "Q_grad_abs": jnp.abs(gradient).mean()}
    return loss, {f"actor/{name}": value for name, value in parts.items()}


def update_with(state: DacState, batch: Batch, noise: DacNoise, config: DacConfig) -> tuple[DacState, Metrics]:
    """Critics and their slow copies, the actor, eta, the slow actor."""
    gradients, critic_metrics = jax.grad(critic_loss, has_aux=True)(state.critic, state, batch, noise, config)
    critic, critic_optimizer = _adam_step(state.critic, gradients, state.critic_optimizer, config.critic_lr, config)
    critic_norm = optax.tree.norm(gradients)
    follow = partial(jax.tree.map, lambda slow, new: config.ema_tau * new + (1 - config.ema_tau) * slow)
    critic_target = follow(state.critic_target, critic)
    state = state._replace(critic=critic, critic_target=critic_target, critic_optimizer=critic_optimizer)

    gradients, actor_metrics = jax.grad(actor_loss, has_aux=True)(state.actor, state, batch, noise, config)
    actor, actor_optimizer = _adam_step(state.actor, gradients, state.actor_optimizer, config.actor_lr, config)
    eta = state.eta + config.eta_lr * jnp.clip(actor_metrics["actor/bc_loss"] - config.bc_threshold, -1, 1)
    moves = (state.updates % config.update_ema_every == 0) & (state.updates > config.step_start_ema)
    actor_target = jax.lax.cond(moves, follow, lambda slow, new: slow, state.actor_target, actor)
    norms = {"grad/critic_norm": critic_norm, "grad/actor_norm": optax.tree.norm(gradients)}
    state = state._replace(
        actor=actor,
        actor_target=actor_target,
        actor_optimizer=actor_optimizer,
        eta=jnp.clip(eta, config.eta_min, config.eta_max) if config.eta_lr > 0 else state.eta,
        updates=state.updates + 1,
    )
    return state, critic_metrics | actor_metrics | norms


def update(state: PlainState, batch: Batch, agent: Dac) -> tuple[PlainState, Metrics]:
    """One update with draws of its own."""
    key, noise_key = jax.random.split(state.key)
    noise = agent.draw_noise(noise_key, len(batch["actions"]))
    new, metrics = update_with(state.agent, batch, noise, agent.config)
    return PlainState(new, key), metrics


def _adam_step(params: Params, gradients: Params, optimizer: optax.OptState, lr: float, config: DacConfig):
    decay = optax.cosine_decay_schedule(lr, config.decay_steps)
    steps, optimizer = optax.chain(optax.clip_by_global_norm(config.clip_grad_norm), optax.adam(decay)).update(
        gradients, optimizer
    )
    return optax.apply_updates(params, steps), optimizer
