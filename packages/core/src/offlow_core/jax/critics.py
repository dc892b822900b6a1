"""Critic ensembles, their Bellman targets, and the modules in front of which an image encoder may stand."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp

from offlow_core.jax.encoders import Impala
from offlow_core.jax.networks import Array, apply_ensemble, init_ensemble

Module = dict[str, dict]


def feature_dim(encoder: Impala | None, observation_shape: tuple[int, ...]) -> int:
    """Width of what a network sees of an observation."""
    return observation_shape[0] if encoder is None else encoder.output_dim


def encode(encoder: Impala | None, module: Module, observations: Array) -> Array:
    """Features [..., d] of observations: the module's own encoding of images, state vectors as they are."""
    return observations if encoder is None else encoder.apply(module["encoder"], observations)


def with_encoder(module: Module, encoder: Impala | None, key: Array, observation_shape: tuple[int, ...]) -> Module:
    """The module, with parameters of an encoder of its own if the observations are images."""
    return module if encoder is None else {**module, "encoder": encoder.init(key, observation_shape)}


def init_critic(
    key: Array,
    encoder: Impala | None,
    observation_shape: tuple[int, ...],
    action_dim: int,
    *,
    members: int,
    hidden_dims: Sequence[int],
    layer_norm: bool,
) -> Module:
    """`members` independent value networks of (features, action) behind one shared encoder."""
    input_dim = feature_dim(encoder, observation_shape) + action_dim
    values = init_ensemble(jax.random.fold_in(key, 0), members, input_dim, hidden_dims, layer_norm=layer_norm)
    return with_encoder({"value_net": values}, encoder, jax.random.fold_in(key, 1), observation_shape)


def critic_values(critic: Module, features: Array, actions: Array) -> Array:
    """Q [members, ...] for features [B, d] and actions [..., B, A]; leading axes of the actions share the features."""
    return apply_ensemble(critic["value_net"], features, actions)


def aggregate(values: Array, rule: Literal["min", "mean"]) -> Array:
    """Combine the members' values [members, B] into [B]."""
    return values.min(0) if rule == "min" else values.mean(0)


def bellman_target(rewards: Array, masks: Array, next_values: Array, discount: float) -> Array:
    """r + discount * mask * Q(s', a') [B]; the mask is 0 where the episode truly ended."""
    return rewards + discount * masks * next_values


def q_learning_loss(
    critic: tuple[Module, Array],
    target_critic: Module,
    encoder: Impala | None,
    batch: dict[str, Array],
    next_actions: Array,
    *,
    discount: float,
    q_agg: Literal["min", "mean"],
) -> tuple[Array, dict[str, Array]]:
    """mean over members and batch of (Q_j(s, a) - r - discount * mask * agg_j Q'_j(s', a'))^2, and what went into it.

    `critic` is its parameters and its features [B, d] of s; a' [B, A] are constants.
    """
    next_qs = critic_values(target_critic, encode(encoder, target_critic, batch["next_observations"]), next_actions)
    target = bellman_target(batch["rewards"], batch["masks"], aggregate(next_qs, q_agg), discount)
    q = critic_values(*critic, batch["actions"])
    loss = jnp.mean((q - target) ** 2)
    return loss, {
        "next_actions": next_actions,
        "next_qs": next_qs,
        "target_q": target,
        "q_pred": q,
        "critic_loss": loss,
    }


def critic_metrics(parts: dict[str, Array]) -> dict[str, Array]:
    """Scalars for the log from a critic's loss and values Q_j(s, a) [members, B]."""
    q = parts["q_pred"]
    return {
        "critic/critic_loss": parts["critic_loss"],
        "critic/q_mean": q.mean(),
        "critic/q_max": q.max(),
        "critic/q_min": q.min(),
    }


def scaled_q_loss(values: Array, *, normalize: bool, epsilon: float = 0.0) -> Array:
    """-mean Q over the batch [B], divided by the (constant) mean |Q| if asked."""
    loss = -values.mean()
    return loss / jax.lax.stop_gradient(jnp.abs(values).mean() + epsilon) if normalize else loss


def moving_average(target: Module, source: Module, tau: float) -> Module:
    """tau * source + (1 - tau) * target, parameter by parameter."""
    return jax.tree.map(lambda t, s: tau * s + (1 - tau) * t, target, source)


def gradient_statistics(gradients: dict) -> dict[str, Array]:
    """Largest and smallest entry, and the sum over tensors of their L2 norms."""
    leaves = jax.tree.leaves(gradients)
    return {
        "grad/max": jnp.stack([leaf.max() for leaf in leaves]).max(),
        "grad/min": jnp.stack([leaf.min() for leaf in leaves]).min(),
        "grad/norm": jnp.stack([jnp.sqrt(jnp.sum(leaf**2)) for leaf in leaves]).sum(),
    }
