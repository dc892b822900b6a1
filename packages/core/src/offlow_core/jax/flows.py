"""Flow policies: conditional velocity fields v(s, x, t), t = 0 noise, t = 1 data (Lipman et al. 2023).

Integration is plain Euler with a fixed number of steps. The forward sampler visits t = 0, 1/N, ..., 1 - 1/N, the
reverse solve of the log-density t = 1, ..., 1/N: the second is deliberately not the algebraic inverse of the first.
"""

import math

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import Array, Params, activate, apply_mlp, depth, first_layer, rest_of_mlp


def velocity_on_path(params: Params, features: Array, actions: Array, x0: Array, t: Array) -> Array:
    """v(s, x_t, t) [B, A] where the straight path from x0 [B, A] to the actions is at time t [B, 1]."""
    return apply_mlp(params, features, (1 - t) * x0 + t * actions, t)


def flow_matching_loss(params: Params, features: Array, actions: Array, x0: Array, t: Array) -> Array:
    """Mean over batch and dimensions of |v(s, x_t, t) - (a - x_0)|^2, x_t = (1 - t) x_0 + t a."""
    return jnp.mean((velocity_on_path(params, features, actions, x0, t) - (actions - x0)) ** 2)


class FlowCondition:
    """A velocity field with its observation part computed once: s W_s + b is the same at every integration step."""

    def __init__(self, params: Params, features: Array):
        self.params = params
        self._observation_part = first_layer(params, features)
        self._action_rows = slice(features.shape[-1], params["Dense_0"]["kernel"].shape[0] - 1)

    @property
    def action_kernel(self) -> Array:
        """The rows [A, hidden] of the first kernel that multiply x."""
        return self.params["Dense_0"]["kernel"][self._action_rows]

    def pre_activation(self, x: Array, t: Array | float) -> Array:
        """First layer [B, hidden] at x [B, A] and a time t shared by the batch (scalar) or per sample [B, 1]."""
        return self._observation_part + x @ self.action_kernel + t * self.params["Dense_0"]["kernel"][-1]

    def velocity(self, x: Array, t: Array | float) -> Array:
        """v(s, x, t) [B, A]."""
        return rest_of_mlp(self.params, self.pre_activation(x, t))

    def velocity_and_divergence(self, x: Array, t: Array | float) -> tuple[Array, Array]:
        """v [B, A] and the trace [B] of dv/dx, exact.

        The A tangents travel through the network together with the value (forward mode). A tangent of the first layer
        is a row of its kernel, and of the last layer only the diagonal is needed, so neither costs a product.
        """
        if depth(self.params) == 3 and "LayerNorm_0" not in self.params:
            return self._two_layer_velocity_and_divergence(x, t)
        last = self.params[f"Dense_{depth(self.params) - 1}"]["kernel"]
        tangents = jnp.broadcast_to(self.action_kernel[:, None], (x.shape[-1], *self._observation_part.shape))
        velocity, tangents = _push_forward(self.params, self.pre_activation(x, t), tangents)
        # Contracted in two steps: one step over (a, h) would first transpose the largest array of the program.
        return velocity, jnp.einsum("abh,ha->ab", tangents, last).sum(0)

    def _two_layer_velocity_and_divergence(self, x: Array, t: Array | float) -> tuple[Array, Array]:
        """The same for two hidden layers without LayerNorm, where no tangents are needed.

        With slopes d1, d2 of the activations the trace of W_x D1 W_1 D2 W_2 is d1^T [W_1 * (W_2 W_x)^T] d2, and the
        matrix in brackets belongs to the parameters alone.
        """
        middle, last = self.params["Dense_1"], self.params["Dense_2"]
        first_values, first_slopes = _activation_and_slope(self.pre_activation(x, t))
        values, slopes = _activation_and_slope(first_values @ middle["kernel"] + middle["bias"])
        coupling = middle["kernel"] * (last["kernel"] @ self.action_kernel).T
        return values @ last["kernel"] + last["bias"], jnp.sum((first_slopes @ coupling) * slopes, -1)

    def velocity_and_trace_estimate(self, x: Array, t: Array | float, probes: Array) -> tuple[Array, Array]:
        """v [B, A] and Hutchinson's estimate [B] of the trace: mean over probes [B, P, A] of e^T (dv/dx) e."""
        last = self.params[f"Dense_{depth(self.params) - 1}"]["kernel"]
        probes = probes.swapaxes(0, 1)
        velocity, tangents = _push_forward(self.params, self.pre_activation(x, t), probes @ self.action_kernel)
        return velocity, jnp.einsum("pba,pba->b", tangents @ last, probes) / probes.shape[0]


def _activation_and_slope(pre_activation: Array) -> tuple[Array, Array]:
    """The activation of a hidden layer without LayerNorm and its derivative."""
    return jax.jvp(lambda h: activate({}, 0, h), (pre_activation,), (jnp.ones_like(pre_activation),))


def _push_forward(params: Params, pre_activation: Array, tangents: Array) -> tuple[Array, Array]:
    """Output [B, out] of the network, and the tangents [T, B, hidden] as they enter the last layer."""
    layers = depth(params)
    x = pre_activation
    for i in range(1, layers):
        x, push = jax.linearize(lambda h, layer=i - 1: activate(params, layer, h), x)
        dense = params[f"Dense_{i}"]
        x = x @ dense["kernel"] + dense["bias"]
        tangents = jax.vmap(push)(tangents)
        if i < layers - 1:
            tangents = tangents @ dense["kernel"]
    return x, tangents


def flow_actions(flow: FlowCondition, z: Array, steps: int) -> Array:
    """Euler from noise z [B, A] at t = 0 to actions at t = 1, clipped to [-1, 1] at the end only."""

    def step(i: Array, x: Array) -> Array:
        return x + flow.velocity(x, i / steps) / steps

    return jnp.clip(jax.lax.fori_loop(0, steps, step, z), -1, 1)


def log_density(flow: FlowCondition, actions: Array, steps: int, probes: Array | None = None) -> Array:
    """log p(a | s) [B] by the instantaneous change of variables, reverse Euler from t = 1 (Chen et al. 2018, eq. 8).

    Without probes the divergence is exact; with probes [steps, B, P, A] it is Hutchinson's estimate, with fresh probes
    at every Euler step. Both x and the divergence are taken before the move.
    """

    def step(carry: tuple[Array, Array], inputs: tuple[Array, Array | None]) -> tuple[tuple[Array, Array], None]:
        x, accumulated = carry
        k, probe = inputs
        t = (steps - k) / steps
        if probe is None:
            velocity, divergence = flow.velocity_and_divergence(x, t)
        else:
            velocity, divergence = flow.velocity_and_trace_estimate(x, t, probe)
        return (x - velocity / steps, accumulated + divergence / steps), None

    start = (actions, jnp.zeros(actions.shape[0]))
    (x, accumulated), _ = jax.lax.scan(step, start, (jnp.arange(steps), probes))
    return -0.5 * jnp.sum(x**2, -1) - 0.5 * actions.shape[-1] * math.log(2 * math.pi) - accumulated
