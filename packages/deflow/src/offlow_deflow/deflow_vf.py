"""DeFlow-VF: DeFlow's refined flow as the actor, floq's flow over returns as the critic."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from offlow_core.jax.critics import init_critic
from offlow_core.jax.device_data import Batch
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.networks import Array
from offlow_core.jax.updates import Metrics
from offlow_deflow.refined_agent import RefinedAgent
from offlow_deflow.refinement import RefinementNoise, actor_loss, actor_metrics, base_actions, init_actor, refined
from offlow_deflow.return_flow import init_return_flow
from offlow_deflow.return_flow_losses import ReturnNoise, draw_return_noise, return_flow_loss, return_flow_metrics


class DeFlowVfNoise(NamedTuple):
    """Draws of one update: next_action [B R, A], those of the returns, then the actor's [B, A], t [B, 1]."""

    next_action: Array
    returns: ReturnNoise
    x0: Array
    t: Array
    base_action: Array
    mse_action: Array


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

    def draw_noise(self, key: Array, batch_size: int) -> DeFlowVfNoise:
        next_key, returns_key, normal_key, t_key = jax.random.split(key, 4)
        rows = batch_size * self.config.noise_samples
        draws = jax.random.normal(normal_key, (3, batch_size, self.action_dim))
        return DeFlowVfNoise(
            jax.random.normal(next_key, (rows, self.action_dim)),
            draw_return_noise(returns_key, rows),
            draws[0],
            jax.random.uniform(t_key, (batch_size, 1)),
            draws[1],
            draws[2],
        )

    def loss(
        self, params: dict, state: JointState, batch: Batch, noise: DeFlowVfNoise
    ) -> tuple[Array, dict[str, Array]]:
        config, observations = self.config, batch["observations"]
        next_actions, base = self._constant_actions(state.params, batch, noise)
        critic_loss, critic_parts = return_flow_loss(params, state.target, batch, next_actions, noise.returns, config)
        critic = (jax.lax.stop_gradient(params["critic"]), observations)
        draws = RefinementNoise(noise.x0, noise.t, noise.base_action)
        loss, parts = actor_loss(
            params, observations, critic, batch, base, draws, config, None, cloning=self.clones(state)
        )
        total = critic_loss + loss
        return total, {**critic_parts, **parts, "total_loss": total}

    def metrics(self, parts: dict[str, Array]) -> Metrics:
        return return_flow_metrics(parts) | actor_metrics(parts)

    def _constant_actions(self, params: dict, batch: Batch, noise: DeFlowVfNoise) -> tuple[Array, Array]:
        """pi(s'; z') [B R, A] and mu(s, z) [B, A]: both flows are integrated as one batch."""
        next_observations = jnp.repeat(batch["next_observations"], self.config.noise_samples, axis=0)
        both = jnp.concatenate([next_observations, batch["observations"]])
        z = jnp.concatenate([noise.next_action, noise.base_action])
        base = base_actions(params, both, z, self.config.flow_steps)
        next_base, base = base[: len(next_observations)], base[len(next_observations) :]
        return refined(params, next_observations, next_base), base
