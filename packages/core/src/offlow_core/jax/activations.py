"""Activation functions that XLA would compute, or differentiate, slowly."""

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import Array


@jax.custom_jvp
def mish(x: Array) -> Array:
    """x tanh(softplus(x)) (Misra, 2019), [...] -> [...], with one exponential in the place of three functions."""
    tanh, _ = _tanh_softplus(x)
    return x * tanh


@mish.defjvp
def _mish_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Its derivative is t + x (1 - t^2) sigmoid(x), t = tanh(softplus(x))."""
    (x,), (tangent,) = primals, tangents
    tanh, exponential = _tanh_softplus(x)
    slope = tanh + x * (1 - tanh * tanh) * (exponential / (1 + exponential))
    return x * tanh, slope * tangent


def _tanh_softplus(x: Array) -> tuple[Array, Array]:
    """n / (n + 2) with n = u (u + 2), u = e^x, and u; beyond 20 the quotient is 1 in float32."""
    u = jnp.exp(jnp.minimum(x, 20.0))
    n = u * (u + 2)
    return n / (n + 2), u
