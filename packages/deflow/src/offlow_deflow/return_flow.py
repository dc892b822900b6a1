"""floq's critic: velocity fields on the real line of returns, w_j(s, a, z, u) (arXiv 2509.06863).

Integrated from a return drawn from a narrow interval at u = 0, a member arrives at a return of (s, a) at u = 1. A
network sees [s, a, embedding of z, embedding of u]; the part of its first layer that belongs to (s, a) does not change
along the path and is computed once.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import (
    Array,
    Params,
    activate,
    each_member,
    first_layer,
    init_mlp,
    layer_norm,
    rest_of_mlp,
)
from offlow_deflow.config import ReturnFlowConfig

HISTOGRAM_REACH = 3.75  # standard deviations beyond the outer edges where float32 still resolves the histogram


@dataclass(frozen=True)
class ReturnRange:
    """Where returns lie: integrations start in [noise_min, noise_max], histograms span [q_min, q_max]."""

    noise_min: float
    noise_max: float
    q_min: float
    q_max: float

    @classmethod
    def of(cls, config: ReturnFlowConfig) -> "ReturnRange":
        """The range that the rewards' range and the discount imply."""
        horizon, (r_min, r_max) = 1 / (1 - config.discount), config.reward_range
        return cls(
            noise_min=config.noise_coverage * r_min * horizon,
            noise_max=config.noise_coverage * r_max * horizon,
            q_min=(r_min - config.reward_offset) * horizon,
            q_max=(r_max + config.reward_offset) * horizon,
        )

    def start(self, ratio: Array) -> Array:
        """The return at u = 0 for a ratio in [0, 1)."""
        return self.noise_min * (1 - ratio) + self.noise_max * ratio


def return_features(z: Array, config: ReturnFlowConfig) -> Array:
    """Embedding [..., num_bins - 1] of returns [..., 1] as a Gaussian's histogram (HL-Gauss); or [..., 1], scaled."""
    span = ReturnRange.of(config)
    if not config.use_prob_embed:
        return (z - span.q_min) / (span.q_max - span.q_min)
    width = (span.q_max - span.q_min) / (config.num_bins - 1)
    edges = span.q_min + width * jnp.arange(config.num_bins)
    # Farther out all probabilities of the bins underflow, and their quotient is noise or 0 / 0.
    reach = HISTOGRAM_REACH * config.sigma * width
    z = jnp.clip(z, span.q_min - reach, span.q_max + reach)
    cumulative = jax.scipy.special.erf((edges - z) / (2**0.5 * config.sigma * width))
    return jnp.diff(cumulative) / (cumulative[..., -1:] - cumulative[..., :1])


def time_features(u: Array, config: ReturnFlowConfig) -> Array:
    """Embedding [..., d] of times [..., 1]."""
    if not config.embed_time:
        return u
    if config.time_embedding == "cos":
        return jnp.cos(u)
    return jnp.cos(jnp.pi * u * jnp.arange(1, config.time_embed_dim + 1))


def init_return_flow(key: Array, state_action_dim: int, config: ReturnFlowConfig) -> dict:
    """Independent velocity fields; every parameter carries a leading axis [members]."""
    input_dim = state_action_dim + (config.num_bins - 1 if config.use_prob_embed else 1)
    input_dim += config.time_embed_dim if config.embed_time and config.time_embedding == "fourier" else 1
    init = _init_residual if config.use_resnets else _init_plain
    return {"mlp": jax.vmap(lambda k: init(k, input_dim, config))(jax.random.split(key, config.flow_num_ensembles))}


def _init_plain(key: Array, input_dim: int, config: ReturnFlowConfig) -> Params:
    return init_mlp(key, input_dim, [config.block_width] * config.block_depth, 1, layer_norm=config.layer_norm)


def _init_residual(key: Array, input_dim: int, config: ReturnFlowConfig) -> dict:
    """An initial layer, blocks to be added to what comes in, and a linear end."""
    width, keys = config.block_width, jax.random.split(key, config.num_transformations + 2)

    def layers(key: Array, input_dim: int, depth: int) -> Params:
        params = init_mlp(key, input_dim, [width] * depth, 1, layer_norm=config.layer_norm)
        del params[f"Dense_{depth}"]
        return params

    blocks = {f"hidden_blocks_{k}": layers(key, width, config.block_depth) for k, key in enumerate(keys[:-2])}
    initial, final = layers(keys[-2], input_dim, 1), init_mlp(keys[-1], width, [], 1)
    return {"initial_block": initial, **blocks, "final_block": final}


class ReturnFlow:
    """The members' velocity fields at given states and actions."""

    def __init__(self, params: dict, config: ReturnFlowConfig, state_action_part: Array):
        self._members, self._config, self._part = params["mlp"], config, state_action_part

    @classmethod
    def at(cls, params: dict, config: ReturnFlowConfig, observations: Array, actions: Array) -> "ReturnFlow":
        """The fields at observations [N, O] and actions [N, A]."""
        part = each_member(lambda member: first_layer(_entrance(member), observations, actions), params["mlp"])
        return cls(params, config, part)

    def repeated(self, times: int) -> "ReturnFlow":
        """The same fields with each row that many times in a row."""
        return ReturnFlow({"mlp": self._members}, self._config, jnp.repeat(self._part, times, axis=1))

    def velocity(self, z: Array, u: Array) -> Array:
        """w_j [E, N, 1] at returns z [E, N, 1] and times u [N, 1] or [1, 1]."""
        inputs = jnp.concatenate([return_features(z, self._config), self._time(u, z)], axis=-1)
        return each_member(self._member_velocity, self._members, self._part, inputs)

    def integrate(self, ratio: Array) -> Array:
        """Returns [E, N] that the members arrive at from the starts of ratios [N, 1], which they share."""
        steps = self._config.critic_flow_steps
        start = ReturnRange.of(self._config).start(ratio)
        z = jnp.broadcast_to(start, (self._part.shape[0], *start.shape))

        def step(i: Array, z: Array) -> Array:
            return z + self.velocity(z, jnp.full((1, 1), i / steps)) / steps

        return jax.lax.fori_loop(0, steps, step, z).squeeze(-1)

    def _time(self, u: Array, z: Array) -> Array:
        features = time_features(u, self._config)
        return jnp.broadcast_to(features, (*z.shape[:-1], features.shape[-1]))

    def _member_velocity(self, member: dict, part: Array, inputs: Array) -> Array:
        kernel = _entrance(member)["Dense_0"]["kernel"]
        pre_activation = part + inputs @ kernel[kernel.shape[0] - inputs.shape[-1] :]
        if "initial_block" not in member:
            return rest_of_mlp(member, pre_activation)
        x = self._activate(member["initial_block"], 0, pre_activation)
        for k in range(self._config.num_transformations):
            x = x + self._block(member[f"hidden_blocks_{k}"], x)
        return first_layer(member["final_block"], x)

    def _block(self, params: Params, x: Array) -> Array:
        for i in range(self._config.block_depth):
            dense = params[f"Dense_{i}"]
            x = self._activate(params, i, x @ dense["kernel"] + dense["bias"])
        return x

    def _activate(self, params: Params, layer: int, pre_activation: Array) -> Array:
        name = f"LayerNorm_{layer}"
        if self._config.activate_before_layernorm or name not in params:
            return activate(params, layer, pre_activation)
        return jax.nn.gelu(layer_norm(params[name], pre_activation), approximate=True)


def _entrance(member: dict) -> Params:
    """The network whose first layer sees the inputs."""
    return member.get("initial_block", member)
