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
