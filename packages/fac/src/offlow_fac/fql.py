"""Flow Q-Learning (Park et al., ICML 2025, arXiv 2502.02538): flow, one-step actor and critic by one joint loss."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from offlow_core.jax.behaviour_flow import behaviour_condition, init_behaviour_flow
from offlow_core.jax.critics import critic_metrics, encode, init_critic, q_learning_loss
from offlow_core.jax.device_data import Batch
from offlow_core.jax.flows import flow_actions
from offlow_core.jax.joint_noise import JointNoise
from offlow_core.jax.joint_training import JointAgent, JointState
from offlow_core.jax.networks import Array
from offlow_core.jax.one_step_actor import (
    distilled_actor_loss,
    init_one_step_actor,
    one_step_actions,
    one_step_metrics,
)
from offlow_core.jax.updates import Metrics

NUM_CRITICS = 2


class Fql(JointAgent):
    """The agent."""

    target_source: ClassVar[str] = "critic"

    def init_params(self, key: Array) -> dict:
        config = self.config
        sizes = (self.encoder, self.observation_shape, self.action_dim)
        critic_key, actor_key, flow_key = jax.random.split(key, 3)
        value = {"hidden_dims": config.value_hidden_dims, "layer_norm": config.layer_norm}
        policy = {"hidden_dims": config.actor_hidden_dims, "layer_norm": config.actor_layer_norm}
        return {
            "critic": init_critic(critic_key, *sizes, members=NUM_CRITICS, **value),
            **init_one_step_actor(actor_key, *sizes, **policy),
            **init_behaviour_flow(flow_key, *sizes, **policy),
        }

    def loss(self, params: dict, state: JointState, batch: Batch, noise: JointNoise) -> tuple[Array, dict[str, Array]]:
        """Critic plus actor loss; each image is encoded once per network."""
        config, encoder = self.config, self.encoder
        features = encode(encoder, params["critic"], batch["observations"])
        next_actions = self.sample_actions(state.params, batch["next_observations"], noise.next_action)
        critic_loss, critic_parts = q_learning_loss(
            (params["critic"], features),
            state.target,
            encoder,
            batch,
            next_actions,
            discount=config.discount,
            q_agg=config.q_agg,
        )
        actor_loss, actor_parts = distilled_actor_loss(
            params,
            jax.lax.stop_gradient((params["critic"], features)),
            batch,
            noise.actor,
            encoder,
            alpha=config.alpha,
            flow_steps=config.flow_steps,
            normalize_q_loss=config.normalize_q_loss,
            q_norm_epsilon=config.q_norm_epsilon,
        )
        total = critic_loss + actor_loss
        return total, {**critic_parts, **actor_parts, "loss": total}

    def metrics(self, parts: dict[str, Array]) -> Metrics:
        return critic_metrics(parts) | one_step_metrics(parts)

    def sample_actions(self, params: dict, observations: Array, z: Array) -> Array:
        """The one-step policy clip(mu(s, z)) [B, A] for observations [B, ...] and noise [B, A]."""
        return jnp.clip(one_step_actions(params, self.encoder, observations, z), -1, 1)

    def sample_behaviour(self, state: JointState, observations: Array, z: Array) -> Array:
        """The behaviour flow's actions [B, A], the multi-step policy that the one-step policy was distilled from."""
        return flow_actions(behaviour_condition(state.params, self.encoder, observations), z, self.config.flow_steps)
