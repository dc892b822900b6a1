"""DeFlow: a cloned flow refined towards the values of an ordinary critic (arXiv 2601.10471)."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from offlow_core.jax.behaviour_flow import behaviour_parts
from offlow_core.jax.critics import critic_metrics, encode, init_critic, q_learning_loss
from offlow_core.jax.device_data import Batch
from offlow_core.jax.joint_noise import JointNoise
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.networks import Array
from offlow_core.jax.updates import Metrics
from offlow_deflow.refined_agent import RefinedAgent
from offlow_deflow.refinement import (
    actor_loss,
    actor_metrics,
    base_actions,
    init_actor,
    refined,
    refinement_features,
)

NUM_CRITICS = 2


class DeFlow(RefinedAgent):
    """The agent; its critic is that of Flow Q-learning."""

    target_source: ClassVar[str] = "critic"

    def init_params(self, key: Array) -> dict:
        config, critic_key, actor_key = self.config, *jax.random.split(key)
        sizes = (self.encoder, self.observation_shape, self.action_dim)
        value = {"hidden_dims": config.value_hidden_dims, "layer_norm": config.layer_norm}
        return {
            "critic": init_critic(critic_key, *sizes, members=NUM_CRITICS, **value),
            **init_actor(actor_key, *sizes, config),
        }

    def loss(self, params: dict, state: JointState, batch: Batch, noise: JointNoise) -> tuple[Array, dict[str, Array]]:
        config, encoder = self.config, self.encoder
        _, flow_features = behaviour_parts(params, encoder, batch["observations"])
        critic_features = encode(encoder, params["critic"], batch["observations"])
        next_actions, base = self._constant_actions(state.params, flow_features, batch, noise)
        critic_loss, critic_parts = q_learning_loss(
            (params["critic"], critic_features),
            state.target,
            encoder,
            batch,
            next_actions,
            discount=config.discount,
            q_agg=config.q_agg,
        )
        critic = jax.lax.stop_gradient((params["critic"], critic_features))
        loss, parts = actor_loss(
            params, flow_features, critic, batch, base, noise.actor, config, encoder, cloning=self.clones(state)
        )
        total = critic_loss + loss
        return total, {**critic_parts, **parts, "total_loss": total}

    def metrics(self, parts: dict[str, Array]) -> Metrics:
        return critic_metrics(parts) | actor_metrics(parts)

    def _constant_actions(self, params: dict, features: Array, batch: Batch, noise: JointNoise) -> tuple[Array, Array]:
        """pi(s'; z') and mu(s, z) [B, A]: both flows are integrated as one batch of 2 B."""
        _, next_features = behaviour_parts(params, self.encoder, batch["next_observations"])
        both = jnp.concatenate([next_features, features])
        z = jnp.concatenate([noise.next_action, noise.start])
        next_base, base = jnp.split(base_actions(params, both, z, self.config.flow_steps), 2)
        next_features = refinement_features(params, self.encoder, batch["next_observations"])
        return refined(params, next_features, next_base), base
