"""Activation functions against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np

from offlow_core.jax.activations import mish
from offlow_core.jax.networks import each_member, rest_of_mlp

X = jnp.concatenate([jnp.linspace(-30, 30, 121), jnp.array([-1e4, 1e4])])


def by_definition(x):
    return x * jnp.tanh(jax.nn.softplus(x))


def test_mish_and_its_derivatives():
    np.testing.assert_allclose(mish(X), by_definition(X), rtol=2e-6, atol=1e-6)
    slope, expected = (jax.vmap(jax.grad(f))(X) for f in (mish, by_definition))
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=2e-6)
    _, pushed = jax.jvp(mish, (X,), (jnp.full_like(X, 3.0),))
    np.testing.assert_allclose(pushed, 3 * slope, rtol=1e-6, atol=1e-6)


def test_a_network_may_have_another_activation():
    layer = {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}
    params = {"Dense_0": layer, "Dense_1": layer}
    found = rest_of_mlp(params, jnp.array([-1.0, 2.0]), lambda params, layer, x: mish(x))
    np.testing.assert_allclose(found, by_definition(jnp.array([-1.0, 2.0])), rtol=1e-6)


def test_members_one_by_one_are_members_at_once():
    kernels, x = jnp.arange(12.0).reshape(2, 2, 3), jnp.array([[1.0, 2.0]])
    found = each_member(lambda member, x: x @ member["kernel"], {"kernel": kernels}, jnp.stack([x, -x]))
    np.testing.assert_array_equal(found, jnp.stack([x @ kernels[0], -x @ kernels[1]]))
