"""The noise network e(s, x, t) and the critic ensemble, whose first layers keep what belongs to s.

Multi-layer perceptrons are those of the core with mish in the place of GELU; layer normalisation, if any, comes before
the activation.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from offlow_core.jax.activations import mish
from offlow_core.jax.networks import (
    Array,
    Params,
    each_member,
    first_layer,
    init_ensemble,
    init_mlp,
    layer_norm,
    rest_of_mlp,
)
from offlow_dac.config import DacConfig

RESIDUAL_BLOCKS = 2
TIME_WIDTH = 32


def time_features(t: Array, dim: int) -> Array:
    """Cosines, then sines, of the step numbers t [...] at dim / 2 frequencies; [..., dim]."""
    half = dim // 2
    frequencies = jnp.exp(-jnp.arange(half) * (jnp.log(10000.0) / (half - 1)))
    angles = t[..., None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def activate_mish(params: Params, layer: int, pre_activation: Array) -> Array:
    """What follows the Dense of a hidden layer."""
    name = f"LayerNorm_{layer}"
    return mish(layer_norm(params[name], pre_activation) if name in params else pre_activation)


def init_actor(key: Array, observation_dim: int, action_dim: int, config: DacConfig) -> dict:
    """A noise network, plain or residual, and the network that embeds the step."""
    time_key, noise_key = jax.random.split(key)
    input_dim = observation_dim + action_dim + TIME_WIDTH
    if config.resnet:
        noise = _init_residual(noise_key, input_dim, config.hidden_dims[0], action_dim)
    else:
        noise = init_mlp(noise_key, input_dim, config.hidden_dims, action_dim, layer_norm=config.layer_norm)
    return {"time_net": init_mlp(time_key, config.time_dim, [TIME_WIDTH], TIME_WIDTH), "noise_net": noise}


def _init_residual(key: Array, input_dim: int, width: int, action_dim: int) -> dict:
    first, last, *blocks = jax.random.split(key, 2 + RESIDUAL_BLOCKS)
    return {
        "input": init_mlp(first, input_dim, [], width),
        **{f"block_{i}": _init_block(k, width) for i, k in enumerate(blocks)},
        "output": init_mlp(last, width, [], action_dim),
    }


def _init_block(key: Array, width: int) -> Params:
    """Kernels of a block are LeCun-normal, as flax initialises them by default."""
    params = init_mlp(key, width, [4 * width], width)
    for i, name in enumerate(("Dense_0", "Dense_1")):
        kernel = params[name]["kernel"]
        params[name]["kernel"] = jax.nn.initializers.lecun_normal()(jax.random.fold_in(key, i), kernel.shape)
    return {**params, "LayerNorm_0": {"scale": jnp.ones(width), "bias": jnp.zeros(width)}}


class NoiseNetwork:
    """e(s, x, t) at given observations; everything that depends on s or on t alone is computed once."""

    def __init__(self, params: dict, config: DacConfig, observations: Array):
        self._net, self._config = params["noise_net"], config
        features = time_features(jnp.arange(config.T + 1, dtype=jnp.float32), config.time_dim)
        embedded = rest_of_mlp(params["time_net"], first_layer(params["time_net"], features), activate_mish)
        kernel = self._entrance["Dense_0"]["kernel"]
        self._action_rows = slice(observations.shape[-1], kernel.shape[0] - TIME_WIDTH)
        self._observation_part = first_layer(self._entrance, observations)
        self._time_part = embedded @ kernel[-TIME_WIDTH:]

    @property
    def _entrance(self) -> Params:
        return self._net["input"] if self._config.resnet else self._net

    def repeated(self, times: int) -> "NoiseNetwork":
        """The same with each row that many times in a row."""
        other = object.__new__(NoiseNetwork)
        other.__dict__ = {**self.__dict__, "_observation_part": jnp.repeat(self._observation_part, times, axis=0)}
        return other

    def noise(self, x: Array, t: Array, dropout_key: Array | None = None) -> Array:
        """e [B, A] at x [B, A] and steps t, one for all or one each [B]; with dropout if there is a key for it."""
        kernel = self._entrance["Dense_0"]["kernel"][self._action_rows]
        pre_activation = self._observation_part + x @ kernel + self._time_part[t]
        drop = partial(_drop, self._config.dropout_rate, dropout_key)
        if self._config.resnet:
            return self._residual(pre_activation, drop)

        def activation(params: Params, layer: int, h: Array) -> Array:
            return drop(layer, activate_mish(params, layer, h))

        return rest_of_mlp(self._net, pre_activation, activation)

    def _residual(self, x: Array, drop: partial) -> Array:
        for i in range(RESIDUAL_BLOCKS):
            block = self._net[f"block_{i}"]
            inner = layer_norm(block["LayerNorm_0"], drop(i, x))
            x = x + rest_of_mlp(block, first_layer(block, inner), lambda params, layer, h: mish(h))
        return first_layer(self._net["output"], mish(x))


def _drop(rate: float, key: Array | None, number: int, x: Array) -> Array:
    """Inverted dropout; none without a key."""
    if key is None or rate == 0:
        return x
    kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0.0)


def init_critic(key: Array, observation_dim: int, action_dim: int, hidden_dims: Sequence[int], members: int) -> Params:
    """Independent value networks with a leading axis [H]."""
    return init_ensemble(key, members, observation_dim + action_dim, hidden_dims)


class Critic:
    """Q_h(s, .) of an ensemble at given observations [B, S]."""

    def __init__(self, params: Params, observations: Array):
        self._params, self._action_dim = params, params["Dense_0"]["kernel"].shape[1] - observations.shape[-1]
        self._observation_part = each_member(lambda member: first_layer(member, observations), params)

    def values(self, actions: Array) -> Array:
        """Q [H, B] of actions [B, A], or [H, B, N] of actions [B, N, A]."""

        def of_member(member: Params, part: Array) -> Array:
            several = actions.ndim == 3
            pre_activation = actions @ member["Dense_0"]["kernel"][-self._action_dim :]
            pre_activation = pre_activation + (part[:, None] if several else part)
            return rest_of_mlp(member, pre_activation, activate_mish).squeeze(-1)

        return each_member(of_member, self._params, self._observation_part)
