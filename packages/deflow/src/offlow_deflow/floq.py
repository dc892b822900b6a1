"""floq: Flow Q-learning's one-step actor with a flow over returns as the critic (arXiv 2509.06863)."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from offlow_core.jax.behaviour_flow import behaviour_condition, init_behaviour_flow
from offlow_core.jax.critics import init_critic
from offlow_core.jax.device_data import Batch
from offlow_core.jax.flows import flow_actions
from offlow_core.jax.joint_training import JointAgent, JointState
from offlow_core.jax.networks import Array
from offlow_core.jax.one_step_actor import (
    distilled_actor_loss,
    init_one_step_actor,
    one_step_actions,
    one_step_metrics,
)
from offlow_core.jax.updates import Metrics
from offlow_deflow.return_flow import init_return_flow
from offlow_deflow.return_flow_losses import (
    FlowCriticNoise,
    draw_flow_critic_noise,
    return_flow_loss,
    return_flow_metrics,
)


class Floq(JointAgent):
    """The agent. State observations only."""

    target_source: ClassVar[str] = "floq"

    def init_params(self, key: Array) -> dict:
        config, critic_key, floq_key, actor_key, flow_key = self.config, *jax.random.split(key, 4)
        value = {"hidden_dims": config.value_hidden_dims, "layer_norm": config.layer_norm}
        policy = {"hidden_dims": config.actor_hidden_dims, "layer_norm": config.actor_layer_norm}
        sizes = (None, self.observation_shape, self.action_dim)
        return {
            "critic": init_critic(critic_key, *sizes, members=config.distill_num_ensembles, **value),
            "floq": init_return_flow(floq_key, self.observation_shape[0] + self.action_dim, config),
            **init_one_step_actor(actor_key, *sizes, **policy),
            **init_behaviour_flow(flow_key, *sizes, **policy),
        }

    def draw_noise(self, key: Array, batch_size: int) -> FlowCriticNoise:
        return draw_flow_critic_noise(key, batch_size, self.action_dim, self.config.noise_samples)

    def loss(
        self, params: dict, state: JointState, batch: Batch, noise: FlowCriticNoise
    ) -> tuple[Array, dict[str, Array]]:
        config = self.config
        next_observations = jnp.repeat(batch["next_observations"], config.noise_samples, axis=0)
        next_actions = self.sample_actions(state.params, next_observations, noise.next_action)
        critic_loss, critic_parts = return_flow_loss(params, state.target, batch, next_actions, noise.returns, config)
        loss, parts = distilled_actor_loss(
            params,
            (jax.lax.stop_gradient(params["critic"]), batch["observations"]),
            batch,
            noise.actor,
            None,
            alpha=config.alpha,
            flow_steps=config.actor_flow_steps,
            normalize_q_loss=config.normalize_q_loss,
            q_norm_epsilon=config.q_norm_epsilon,
        )
        total = critic_loss + loss
        return total, {**critic_parts, **parts, "total_loss": total}

    def metrics(self, parts: dict[str, Array]) -> Metrics:
        return return_flow_metrics(parts) | one_step_metrics(parts)

    def sample_actions(self, params: dict, observations: Array, z: Array) -> Array:
        """The one-step policy clip(mu(s, z)) [B, A]."""
        return jnp.clip(one_step_actions(params, None, observations, z), -1, 1)

    def sample_behaviour(self, state: JointState, observations: Array, z: Array) -> Array:
        """The behaviour flow's actions [B, A]."""
        return flow_actions(behaviour_condition(state.params, None, observations), z, self.config.actor_flow_steps)
