"""DeFlow-VF: DeFlow's refined flow as the actor, floq's flow over returns as the critic."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from offlow_core.jax.critics import init_critic
from offlow_core.jax.device_data import Batch
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.networks import Array
from offlow_core.jax.updates import Metrics
from offlow_deflow.refined_agent import RefinedAgent
from offlow_deflow.refinement import actor_loss, actor_metrics, base_actions, init_actor, refined
from offlow_deflow.return_flow import init_return_flow
from offlow_deflow.return_flow_losses import (
    FlowCriticNoise,
    draw_flow_critic_noise,
    return_flow_loss,
    return_flow_metrics,
)


class DeFlowVf(RefinedAgent):
    """The agent. State observations only."""

    target_source: ClassVar[str] = "floq"

    def init_params(self, key: Array) -> dict:
        config, critic_key, floq_key, actor_key = self.config, *jax.random.split(key, 3)
        value = {"hidden_dims": config.value_hidden_dims, "layer_norm": config.layer_norm}
        sizes = (None, self.observation_shape, self.action_dim)
        return {
            "critic": init_critic(critic_key, *sizes, members=config.distill_num_ensembles, **value),
            "floq": init_return_flow(floq_key, self.observation_shape[0] + self.action_dim, config),
            **init_actor(actor_key, *sizes, config),
        }

    def draw_noise(self, key: Array, batch_size: int) -> FlowCriticNoise:
        return draw_flow_critic_noise(key, batch_size, self.action_dim, self.config.noise_samples)

    def loss(
        self, params: dict, state: JointState, batch: Batch, noise: FlowCriticNoise
    ) -> tuple[Array, dict[str, Array]]:
        config, observations = self.config, batch["observations"]
        next_actions, base = self._constant_actions(state.params, batch, noise)
        critic_loss, critic_parts = return_flow_loss(params, state.target, batch, next_actions, noise.returns, config)
        critic = (jax.lax.stop_gradient(params["critic"]), observations)
        loss, parts = actor_loss(
            params, observations, critic, batch, base, noise.actor, config, None, cloning=self.clones(state)
        )
        total = critic_loss + loss
        return total, {**critic_parts, **parts, "total_loss": total}

    def metrics(self, parts: dict[str, Array]) -> Metrics:
        return return_flow_metrics(parts) | actor_metrics(parts)

    def _constant_actions(self, params: dict, batch: Batch, noise: FlowCriticNoise) -> tuple[Array, Array]:
        """pi(s'; z') [B R, A] and mu(s, z) [B, A]: both flows are integrated as one batch."""
        next_observations = jnp.repeat(batch["next_observations"], self.config.noise_samples, axis=0)
        both = jnp.concatenate([next_observations, batch["observations"]])
        z = jnp.concatenate([noise.next_action, noise.start])
        base = base_actions(params, both, z, self.config.flow_steps)
        next_base, base = base[: len(next_observations)], base[len(next_observations) :]
        return refined(params, next_observations, next_base), base
