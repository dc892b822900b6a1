"""Flow Q-Learning: an agent is a set of pure functions over one state (Park et al., ICML 2025, arXiv 2502.02538)."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from offlow_core.jax.critics import encode, feature_dim, gradient_statistics, init_critic, moving_average, with_encoder
from offlow_core.jax.encoders import Impala
from offlow_core.jax.flows import flow_actions
from offlow_core.jax.networks import Array, apply_mlp, init_mlp
from offlow_core.jax.updates import Report
from offlow_fac.config import FqlConfig
from offlow_fac.fql_losses import Batch, FqlNoise, behaviour_condition, joint_loss

NUM_CRITICS = 2


class FqlState(NamedTuple):
    """All that training changes. The target critic has no optimizer: it only follows the critic."""

    params: dict
    target_critic: dict
    optimizer: optax.OptState


@dataclass(frozen=True)
class Fql:
    """The agent for one task: configuration, shapes and the image encoder, if any."""

    config: FqlConfig
    observation_shape: tuple[int, ...]
    action_dim: int
    encoder: Impala | None = None

    @cached_property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.config.lr)

    def init(self, key: Array) -> FqlState:
        """Fresh parameters; the target critic starts as a copy of the critic."""
        config, shape = self.config, self.observation_shape
        critic_key, actor_key, actor_encoder_key, flow_key, flow_encoder_key = jax.random.split(key, 5)
        critic = init_critic(
            critic_key,
            self.encoder,
            shape,
            self.action_dim,
            members=NUM_CRITICS,
            hidden_dims=config.value_hidden_dims,
            layer_norm=config.layer_norm,
        )
        width = feature_dim(self.encoder, shape) + self.action_dim
        policy = {"hidden_dims": config.actor_hidden_dims, "layer_norm": config.actor_layer_norm}
        actor = init_mlp(actor_key, width, output_dim=self.action_dim, **policy)
        flow = init_mlp(flow_key, width + 1, output_dim=self.action_dim, **policy)
        params = {
            "critic": critic,
            "actor_onestep_flow": with_encoder({"mlp": actor}, self.encoder, actor_encoder_key, shape),
            "actor_bc_flow": {"mlp": flow},
        }
        if self.encoder is not None:
            params["actor_bc_flow_encoder"] = self.encoder.init(flow_encoder_key, shape)
        return self.with_fresh_optimizer(params, jax.tree.map(jnp.copy, critic))

    def with_fresh_optimizer(self, params: dict, target_critic: dict) -> FqlState:
        """A state with the given parameters and zero Adam moments."""
        return FqlState(params, target_critic, self._adam.init(params))

    def draw_noise(self, key: Array, batch_size: int) -> FqlNoise:
        """Fresh draws for `update`."""
        normal_key, t_key = jax.random.split(key)
        draws = jax.random.normal(normal_key, (4, batch_size, self.action_dim))
        return FqlNoise(draws[0], draws[1], jax.random.uniform(t_key, (batch_size, 1)), draws[2], draws[3])

    def update(self, state: FqlState, batch: Batch, noise: FqlNoise) -> tuple[FqlState, Report]:
        """One joint Adam step; the target follows the critic as it was *before* the step."""
        gradients, parts = self.gradients(state, batch, noise)
        updates, optimizer = self._adam.update(gradients, state.optimizer)
        params = optax.apply_updates(state.params, updates)
        target = moving_average(state.target_critic, state.params["critic"], self.config.tau)

        def report() -> dict[str, Array]:
            error = self.action_error(state.params, batch, noise.mse_action)
            return {**fql_metrics(parts), "actor/mse": error, **gradient_statistics(gradients)}

        return FqlState(params, target, optimizer), report

    def gradients(self, state: FqlState, batch: Batch, noise: FqlNoise) -> tuple[dict, dict[str, Array]]:
        """Gradients of the joint loss and its intermediate arrays."""
        loss = jax.grad(joint_loss, has_aux=True)
        return loss(state.params, state.target_critic, batch, noise, self.config, self.encoder)

    def action_error(self, params: dict, batch: Batch, z: Array) -> Array:
        """Mean squared distance of the policy's actions from the dataset's; for the log only."""
        return jnp.mean((self.sample_actions(params, batch["observations"], z) - batch["actions"]) ** 2)

    def sample_actions(self, params: dict, observations: Array, z: Array) -> Array:
        """The one-step policy clip(mu(s, z)) [B, A] for observations [B, ...] and noise [B, A]."""
        actor = params["actor_onestep_flow"]
        return jnp.clip(apply_mlp(actor["mlp"], encode(self.encoder, actor, observations), z), -1, 1)

    def sample_behaviour(self, state: FqlState, observations: Array, z: Array) -> Array:
        """The behaviour flow's actions [B, A], the multi-step policy that the one-step policy was distilled from."""
        return flow_actions(behaviour_condition(state.params, self.encoder, observations), z, self.config.flow_steps)


def fql_metrics(parts: dict[str, Array]) -> dict[str, Array]:
    """Scalars for the log from the intermediates of the joint loss."""
    q = parts["q_pred"]
    critic = {
        "critic/critic_loss": parts["critic_loss"],
        "critic/q_mean": q.mean(),
        "critic/q_max": q.max(),
        "critic/q_min": q.min(),
    }
    names = ("actor_loss", "bc_flow_loss", "distill_loss", "q_loss", "q")
    return critic | {f"actor/{name}": parts[name] for name in names}
