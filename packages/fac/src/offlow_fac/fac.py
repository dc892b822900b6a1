"""Flow Actor-Critic: an agent is a set of pure functions over one state (Chae et al., ICLR 2026, arXiv 2602.18015)."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from offlow_core.jax.critics import (
    critic_metrics,
    encode,
    feature_dim,
    gradient_statistics,
    init_critic,
    moving_average,
    with_encoder,
)
from offlow_core.jax.encoders import Impala
from offlow_core.jax.flows import flow_actions, log_density
from offlow_core.jax.networks import Array, apply_mlp, init_mlp
from offlow_core.jax.updates import Report
from offlow_fac.config import FacConfig
from offlow_fac.fac_losses import (
    ActorCriticNoise,
    Batch,
    FlowNoise,
    Frozen,
    actor_critic_loss,
    behaviour_condition,
    behaviour_flow_loss,
    penalises,
)


class FacState(NamedTuple):
    """All that training changes. The target critic has no optimizer: it only follows the critic."""

    params: dict
    target_critic: dict
    optimizer: optax.OptState
    behaviour: dict
    behaviour_optimizer: optax.OptState


@dataclass(frozen=True)
class Fac:
    """The agent for one task: configuration, shapes and the image encoder, if any."""

    config: FacConfig
    observation_shape: tuple[int, ...]
    action_dim: int
    encoder: Impala | None = None

    @cached_property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.config.lr)

    @cached_property
    def _behaviour_adam(self) -> optax.GradientTransformation:
        return optax.adam(self.config.lr_bc)

    def init(self, key: Array) -> FacState:
        """Fresh parameters; the target critic starts as a copy of the critic."""
        config, shape = self.config, self.observation_shape
        critic_key, actor_key, actor_encoder_key, flow_key, flow_encoder_key = jax.random.split(key, 5)
        width = feature_dim(self.encoder, shape)
        critic = init_critic(
            critic_key,
            self.encoder,
            shape,
            self.action_dim,
            members=config.num_critics,
            hidden_dims=config.value_hidden_dims,
            layer_norm=config.value_layer_norm,
        )
        actor = init_mlp(
            actor_key,
            width + self.action_dim,
            config.actor_hidden_dims,
            self.action_dim,
            layer_norm=config.actor_layer_norm,
        )
        flow = init_mlp(
            flow_key,
            width + self.action_dim + 1,
            config.bc_hidden_dims,
            self.action_dim,
            layer_norm=config.bc_layer_norm,
        )
        params = {
            "critic": critic,
            "actor_onestep": with_encoder({"mlp": actor}, self.encoder, actor_encoder_key, shape),
        }
        behaviour = {"bc_flow": {"mlp": flow}}
        if self.encoder is not None:
            behaviour["bc_flow_encoder"] = self.encoder.init(flow_encoder_key, shape)
        return self.with_fresh_optimizers(params, jax.tree.map(jnp.copy, critic), behaviour)

    def with_fresh_optimizers(self, params: dict, target_critic: dict, behaviour: dict) -> FacState:
        """A state with the given parameters and zero Adam moments."""
        return FacState(params, target_critic, self._adam.init(params), behaviour, self._behaviour_adam.init(behaviour))

    def draw_flow_noise(self, key: Array, batch_size: int) -> FlowNoise:
        """Fresh draws for `update_behaviour_flow`."""
        x0_key, t_key = jax.random.split(key)
        return FlowNoise(
            jax.random.normal(x0_key, (batch_size, self.action_dim)), jax.random.uniform(t_key, (batch_size, 1))
        )

    def draw_probes(self, key: Array, batch_size: int) -> Array | None:
        """Hutchinson probes [N, B, P, A], or None if divergences are exact."""
        config = self.config
        shape = (config.flow_steps, batch_size, config.logp_hutch_probes, self.action_dim)
        if config.logp_method == "exact":
            return None
        draw = jax.random.rademacher if config.logp_method == "hutch-rade" else jax.random.normal
        return draw(key, shape, dtype=jnp.float32)

    def draw_actor_critic_noise(self, key: Array, batch_size: int, *, online: bool = False) -> ActorCriticNoise:
        """Fresh draws for `update_actor_critic`."""
        action_key, penalty_key, threshold_key = jax.random.split(key, 3)
        draws = jax.random.normal(action_key, (3, batch_size, self.action_dim))
        probes = thresholds = None
        if penalises(self.config):
            probes = self.draw_probes(penalty_key, batch_size)
            thresholds = self.draw_probes(threshold_key, batch_size) if online else None
        return ActorCriticNoise(draws[0], draws[1], draws[2], probes, thresholds)

    def update_behaviour_flow(self, state: FacState, batch: Batch, noise: FlowNoise) -> tuple[FacState, Report]:
        """One Adam step of flow matching on the behaviour flow and its encoder."""
        gradients, parts = self.behaviour_gradients(state, batch, noise)
        updates, optimizer = self._behaviour_adam.update(gradients, state.behaviour_optimizer)
        behaviour = cast(dict, optax.apply_updates(state.behaviour, updates))
        state = state._replace(behaviour=behaviour, behaviour_optimizer=optimizer)
        return state, lambda: {"bc/bc_flow_loss": parts["bc_flow_loss"], **gradient_statistics(gradients)}

    def update_actor_critic(
        self, state: FacState, batch: Batch, noise: ActorCriticNoise, *, online: bool = False
    ) -> tuple[FacState, Report]:
        """One joint Adam step on critic and actor; the target then follows the *updated* critic."""
        gradients, parts = self.actor_critic_gradients(state, batch, noise, online=online)
        updates, optimizer = self._adam.update(gradients, state.optimizer)
        params = cast(dict, optax.apply_updates(state.params, updates))
        target = moving_average(state.target_critic, params["critic"], self.config.tau)
        state = state._replace(params=params, target_critic=target, optimizer=optimizer)
        return state, lambda: {**actor_critic_metrics(parts), **gradient_statistics(gradients)}

    def behaviour_gradients(self, state: FacState, batch: Batch, noise: FlowNoise) -> tuple[dict, dict[str, Array]]:
        """Gradients of the flow-matching loss and its intermediate arrays."""
        return jax.grad(behaviour_flow_loss, has_aux=True)(state.behaviour, self.encoder, batch, noise)

    def actor_critic_gradients(
        self, state: FacState, batch: Batch, noise: ActorCriticNoise, *, online: bool = False
    ) -> tuple[dict, dict[str, Array]]:
        """Gradients of the joint loss and its intermediate arrays."""
        frozen = Frozen(state.target_critic, state.behaviour)
        loss = jax.grad(actor_critic_loss, has_aux=True)
        return loss(state.params, frozen, batch, noise, self.config, self.encoder, online=online)

    def update_online(
        self, state: FacState, batch: Batch, flow_noise: FlowNoise, noise: ActorCriticNoise
    ) -> tuple[FacState, Report]:
        """Behaviour flow, then actor and critic on the same batch, with thresholds from the flow just updated."""
        state, flow_report = self.update_behaviour_flow(state, batch, flow_noise)
        state, report = self.update_actor_critic(state, batch, noise, online=True)
        return state, lambda: {**flow_report(), **report()}

    def log_density(self, behaviour: dict, batch: Batch, probes: Array | None) -> Array:
        """log beta(a | s) [B] of the batch's own actions."""
        flow = behaviour_condition(behaviour, self.encoder, batch["observations"])
        return log_density(flow, batch["actions"], self.config.flow_steps, probes)

    def sample_actions(self, params: dict, observations: Array, z: Array) -> Array:
        """The one-step policy clip(mu(s, z)) [B, A] for observations [B, ...] and noise [B, A]."""
        actor = params["actor_onestep"]
        return jnp.clip(apply_mlp(actor["mlp"], encode(self.encoder, actor, observations), z), -1, 1)

    def sample_behaviour(self, state: FacState, observations: Array, z: Array) -> Array:
        """The behaviour flow's actions [B, A], the multi-step policy that the one-step policy was distilled from."""
        return flow_actions(behaviour_condition(state.behaviour, self.encoder, observations), z, self.config.flow_steps)


def actor_critic_metrics(parts: dict[str, Array]) -> dict[str, Array]:
    """Scalars for the log from the intermediates of the joint loss."""
    metrics = critic_metrics(parts)
    if "weight" in parts:
        metrics["critic/penalty_mean"] = parts["penalty_mean"]
        densities = {
            "diff_logpi": parts["logp_pi"] - parts["logp_beta"],
            "est_logpi": parts["logp_pi"],
            "est_logbeta": parts["logp_beta"],
        }
        for name, values in densities.items():
            metrics[f"critic/{name}_mean"] = values.mean()
            metrics[f"critic/{name}_max"] = values.max()
            metrics[f"critic/{name}_min"] = values.min()
    return metrics | {f"actor/{name}": parts[name] for name in ("actor_loss", "distill_loss", "q_loss", "q")}
