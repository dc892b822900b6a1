"""Diffusion Actor-Critic: an agent is a set of pure functions over one state."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from offlow_core.jax.critics import moving_average
from offlow_core.jax.device_data import Batch
from offlow_core.jax.networks import Array, Params
from offlow_core.jax.updates import Metrics, Report
from offlow_dac.config import DacConfig
from offlow_dac.losses import ActorNoise, CriticNoise, actor_loss, critic_loss, plain_bc_loss
from offlow_dac.networks import init_actor, init_critic
from offlow_dac.schedules import NoiseSchedule, make_schedule


class DacState(NamedTuple):
    """All that training changes; `updates` counts those that were done, from 0."""

    actor: dict
    actor_target: dict
    critic: Params
    critic_target: Params
    actor_optimizer: optax.OptState
    critic_optimizer: optax.OptState
    eta: Array
    updates: Array


class DacNoise(NamedTuple):
    """Draws of one update."""

    critic: CriticNoise
    actor: ActorNoise


@dataclass(frozen=True)
class Dac:
    """The agent for one task; `config.lr_decay_steps` is a number."""

    config: DacConfig
    observation_dim: int
    action_dim: int

    @cached_property
    def schedule(self) -> NoiseSchedule:
        """Of the diffusion."""
        return make_schedule(self.config.beta_schedule, self.config.T)

    @cached_property
    def _actor_adam(self) -> optax.GradientTransformation:
        return self._adam(self.config.actor_lr)

    @cached_property
    def _critic_adam(self) -> optax.GradientTransformation:
        return self._adam(self.config.critic_lr)

    def _adam(self, lr: float) -> optax.GradientTransformation:
        decay = optax.cosine_decay_schedule(lr, self.config.decay_steps)
        return optax.chain(optax.clip_by_global_norm(self.config.clip_grad_norm), optax.adam(decay))

    def init(self, key: Array) -> DacState:
        """Fresh parameters; the slow networks start as copies."""
        actor_key, critic_key = jax.random.split(key)
        config = self.config
        actor = init_actor(actor_key, self.observation_dim, self.action_dim, config)
        critic = init_critic(critic_key, self.observation_dim, self.action_dim, config.hidden_dims, config.num_qs)
        return self.with_fresh_optimizers(actor, jax.tree.map(jnp.copy, actor), critic, jax.tree.map(jnp.copy, critic))

    def with_fresh_optimizers(self, actor: dict, actor_target: dict, critic: Params, critic_target: Params) -> DacState:
        """A state with the given parameters, zero Adam moments and the configured eta."""
        optimizers = self._actor_adam.init(actor), self._critic_adam.init(critic)
        eta, none = jnp.asarray(self.config.eta, jnp.float32), jnp.asarray(0, jnp.int32)
        return DacState(actor, actor_target, critic, critic_target, *optimizers, eta, none)

    def draw_noise(self, key: Array, batch_size: int) -> DacNoise:
        """Fresh draws for `update`."""
        config, (prior_key, z_key, uniform_key, t_key, eps_key, chain_key, dropout_key) = (
            self.config,
            jax.random.split(key, 7),
        )
        rows, action_dim, steps = batch_size * config.num_q_samples, self.action_dim, config.T
        uniforms = None
        if config.q_tar == "rand_convex":
            uniforms = jax.random.uniform(uniform_key, (config.num_qs, batch_size))
        prior = z = None
        if config.Q_guidance == "denoised" and config.use_guidance_loss:
            draws = jax.random.normal(chain_key, (1 + steps, batch_size, action_dim))
            prior, z = draws[0], draws[1:]
        return DacNoise(
            CriticNoise(
                jax.random.normal(prior_key, (rows, action_dim)),
                jax.random.normal(z_key, (steps, rows, action_dim)),
                uniforms,
            ),
            ActorNoise(
                jax.random.randint(t_key, (batch_size,), 1, steps + 1),
                jax.random.normal(eps_key, (batch_size, action_dim)),
                prior,
                z,
                dropout_key if config.dropout_rate > 0 else None,
            ),
        )

    def update(self, state: DacState, batch: Batch, noise: DacNoise) -> tuple[DacState, Report]:
        """Critic, its slow copy, actor, eta, the slow actor: in this order, each with the results before it."""
        batch = weighted(batch)
        state, critic_parts = self._update_critic(state, batch, noise.critic)
        state, actor_parts = self._update_actor(state, batch, noise.actor)
        parts = {**critic_parts, **actor_parts}
        norms = {f"grad/{name}_norm": parts[f"{name}_grad_norm"] for name in ("critic", "actor")}
        return state._replace(updates=state.updates + 1), lambda: metrics(parts) | norms

    def loss_metrics(self, state: DacState, batch: Batch, noise: DacNoise) -> Metrics:
        """The losses of a batch, without an update."""
        batch = weighted(batch)
        critic = critic_loss(
            state.critic,
            state.critic_target,
            state.actor_target,
            state.eta,
            batch,
            noise.critic,
            self.config,
            self.schedule,
        )
        actor = actor_loss(state.actor, state.critic_target, state.eta, batch, noise.actor, self.config, self.schedule)
        return metrics({**critic[1], **actor[1]})

    def critic_gradients(self, state: DacState, batch: Batch, noise: CriticNoise) -> tuple[Params, Metrics]:
        """Gradients of the critic's loss, before clipping, and its intermediate arrays."""
        frozen = (state.critic_target, state.actor_target, state.eta)
        loss = jax.grad(critic_loss, has_aux=True)
        return loss(state.critic, *frozen, batch, noise, self.config, self.schedule)

    def actor_gradients(self, state: DacState, batch: Batch, noise: ActorNoise) -> tuple[dict, Metrics]:
        """Gradients of the actor's loss, before clipping, and its intermediate arrays."""
        loss = jax.grad(actor_loss, has_aux=True)
        return loss(state.actor, state.critic_target, state.eta, batch, noise, self.config, self.schedule)

    def _update_critic(self, state: DacState, batch: Batch, noise: CriticNoise) -> tuple[DacState, Metrics]:
        gradients, parts = self.critic_gradients(state, batch, noise)
        steps, optimizer = self._critic_adam.update(gradients, state.critic_optimizer)
        critic = cast(dict, optax.apply_updates(state.critic, steps))
        target = moving_average(state.critic_target, critic, self.config.ema_tau)
        parts["critic_grad_norm"] = optax.tree.norm(gradients)
        return state._replace(critic=critic, critic_target=target, critic_optimizer=optimizer), parts

    def _update_actor(self, state: DacState, batch: Batch, noise: ActorNoise) -> tuple[DacState, Metrics]:
        gradients, parts = self.actor_gradients(state, batch, noise)
        steps, optimizer = self._actor_adam.update(gradients, state.actor_optimizer)
        actor = cast(dict, optax.apply_updates(state.actor, steps))
        parts["actor_grad_norm"] = optax.tree.norm(gradients)
        eta = self._dual_ascent(state, batch, noise, parts)
        target = self._slow_actor(state, actor)
        return state._replace(actor=actor, actor_target=target, actor_optimizer=optimizer, eta=eta), parts

    def _dual_ascent(self, state: DacState, batch: Batch, noise: ActorNoise, parts: Metrics) -> Array:
        """eta after a step towards the threshold, by the loss of the actor from *before* its update."""
        config = self.config
        if config.eta_lr == 0 or not config.use_guidance_loss:
            return state.eta
        bc_loss = parts["bc_loss"]
        if config.dropout_rate > 0:
            bc_loss = plain_bc_loss(state.actor, batch, noise, parts["noisy_actions"], config)
        step = config.eta_lr * jnp.clip(bc_loss - config.bc_threshold, -1, 1)
        return jnp.clip(state.eta + step, config.eta_min, config.eta_max)

    def _slow_actor(self, state: DacState, actor: dict) -> dict:
        """The slow actor, which stays the initial one until more than `step_start_ema` updates are done."""
        config, n = self.config, state.updates
        moves = (n % config.update_ema_every == 0) & (n > config.step_start_ema)
        moved = moving_average(state.actor_target, actor, config.ema_tau)
        return jax.tree.map(lambda new, old: jnp.where(moves, new, old), moved, state.actor_target)


def metrics(parts: Metrics) -> Metrics:
    """Scalars for the log, from the intermediates of both losses."""
    critic = ("critic_loss", "qs", "qs_std")
    actor = ("actor_loss", "bc_loss", "guidance_loss", "eta", "Q_norm", "Q_grad", "Q_grad_abs")
    return {f"critic/{name}": parts[name] for name in critic} | {f"actor/{name}": parts[name] for name in actor}


def weighted(batch: Batch) -> Batch:
    """The batch with weights; all rows count alike unless it says otherwise."""
    return {"weights": jnp.ones(len(batch["actions"])), **batch}
