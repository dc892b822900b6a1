"""The losses of floq's critic, and of the plain critic that is distilled from it (arXiv 2509.06863)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from offlow_core.jax.critics import aggregate, bellman_target, critic_values
from offlow_core.jax.device_data import Batch
from offlow_core.jax.joint_noise import ActorNoise, draw_joint_noise
from offlow_core.jax.networks import Array
from offlow_deflow.config import ReturnFlowConfig
from offlow_deflow.return_flow import ReturnFlow, ReturnRange

Intermediates = dict[str, Array]


class ReturnNoise(NamedTuple):
    """Draws [B R, 1], uniform in [0, 1); row b R + r is repeat r of sample b.

    `next_ratio` starts the integrations of the target, `ratio` those of the critic and the training paths, `time` is
    where on them the velocity is trained.
    """

    next_ratio: Array
    ratio: Array
    time: Array


class FlowCriticNoise(NamedTuple):
    """Draws of one update of an agent with this critic: those of `JointNoise`, with next_action [B R, A], and these."""

    next_action: Array
    returns: ReturnNoise
    x0: Array
    t: Array
    start: Array
    mse_action: Array

    @property
    def actor(self) -> ActorNoise:
        """The part of the actor's loss."""
        return ActorNoise(self.x0, self.t, self.start)


def draw_flow_critic_noise(key: Array, batch_size: int, action_dim: int, repeats: int) -> FlowCriticNoise:
    """Fresh draws."""
    next_key, returns_key, joint_key = jax.random.split(key, 3)
    rows, rest = batch_size * repeats, draw_joint_noise(joint_key, batch_size, action_dim)
    returns = ReturnNoise(*jax.random.uniform(returns_key, (3, rows, 1)))
    next_action = jax.random.normal(next_key, (rows, action_dim))
    return FlowCriticNoise(next_action, returns, rest.x0, rest.t, rest.start, rest.mse_action)


def return_flow_loss(
    params: dict, target_floq: dict, batch: Batch, next_actions: Array, noise: ReturnNoise, config: ReturnFlowConfig
) -> tuple[Array, Intermediates]:
    """Flow matching from starting returns to bootstrapped ones, plus distillation of the mean integrated return.

    `next_actions` [B R, A] are constants, an action of its own for every repeat. `params` holds the modules `floq`
    and `critic`.
    """
    y, next_returns = _target_returns(target_floq, batch, next_actions, noise.next_ratio, config)
    floq = ReturnFlow.at(params["floq"], config, batch["observations"], batch["actions"])
    frozen = ReturnFlow.at(jax.lax.stop_gradient(params["floq"]), config, batch["observations"], batch["actions"])
    returns = frozen.repeated(config.noise_samples).integrate(noise.ratio)
    returns = returns.reshape(len(returns), len(y), config.noise_samples)
    floq_loss, path = _velocity_loss(floq.repeated(config.noise_samples), y, noise, config)
    q = critic_values(params["critic"], batch["observations"], batch["actions"])
    distilled_loss = (q - returns.mean((0, 2))) ** 2
    loss = jnp.mean(floq_loss + distilled_loss)
    scalars = {
        "floq_loss": floq_loss.mean(),
        "distilled_critic_loss": distilled_loss.mean(),
        "critic_loss": loss,
        "q": q.mean(),
        "var_flow_returns": returns.mean(0).var(-1).mean(),
        "td_error": jnp.mean((returns.mean((0, 2)) - y) ** 2),
    }
    arrays = {"next_actions": next_actions, "next_returns": next_returns, "target_returns": y, "q_pred": q}
    metrics = {f"critic/{name}": value for name, value in scalars.items()}
    return loss, {**metrics, **arrays, "current_returns": returns, **path}


def return_flow_metrics(parts: Intermediates) -> dict[str, Array]:
    """Scalars for the log."""
    return {name: value for name, value in parts.items() if name.startswith("critic/")}


def _target_returns(
    target_floq: dict, batch: Batch, next_actions: Array, ratio: Array, config: ReturnFlowConfig
) -> tuple[Array, Array]:
    """y [B], the mean over repeats of r + discount * mask * G', and G' [B, R] itself."""
    repeats = config.noise_samples
    next_observations = jnp.repeat(batch["next_observations"], repeats, axis=0)
    members = ReturnFlow.at(target_floq, config, next_observations, next_actions).integrate(ratio)
    returns = aggregate(members, config.q_agg).reshape(-1, repeats)
    y = bellman_target(batch["rewards"][:, None], batch["masks"][:, None], returns, config.discount)
    return y.mean(-1), returns


def _velocity_loss(
    floq: ReturnFlow, y: Array, noise: ReturnNoise, config: ReturnFlowConfig
) -> tuple[Array, Intermediates]:
    """Squared error [E, B] of the velocity on the straight paths from starting returns to y, summed over repeats."""
    start = ReturnRange.of(config).start(noise.ratio)
    end = jnp.repeat(y, config.noise_samples)[:, None]
    u = jnp.zeros_like(noise.time) if config.train_at_zero_only else noise.time
    z = jnp.broadcast_to((1 - u) * start + u * end, (config.flow_num_ensembles, *start.shape))
    velocity = floq.velocity(z, u)
    error = ((velocity - (end - start)) ** 2).reshape(len(z), len(y), config.noise_samples).sum(-1)
    return error, {"flow_x0": start, "flow_xt": z, "flow_pred": velocity}
