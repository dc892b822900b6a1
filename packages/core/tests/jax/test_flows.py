"""Velocity fields that can be integrated by hand, and the fast divergences against automatic differentiation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offlow_core.jax.flows import FlowCondition, flow_actions, flow_matching_loss, log_density
from offlow_core.jax.networks import apply_mlp, init_mlp

LOG_2_PI = math.log(2 * math.pi)


def linear_field(*rows: list[float]) -> dict:
    """Parameters of v(inputs) = inputs @ rows: with GELU(u) - GELU(-u) = u a hidden layer can be linear."""
    kernel = jnp.array(rows)
    identity = jnp.eye(kernel.shape[1])
    return {
        "Dense_0": {"kernel": jnp.concatenate([kernel, -kernel], 1), "bias": jnp.zeros(2 * kernel.shape[1])},
        "Dense_1": {"kernel": jnp.concatenate([identity, -identity]), "bias": jnp.zeros(kernel.shape[1])},
    }


def flow(params: dict, *observation: float) -> FlowCondition:
    return FlowCondition(params, jnp.array([observation]))


def test_a_linear_field_has_the_velocity_and_divergence_of_its_matrix():
    # one observation, x = (x1, x2), t
    field = flow(linear_field([1.0, 0.0], [0.5, 3.0], [7.0, -2.0], [0.0, 10.0]), 4.0)
    velocity, divergence = field.velocity_and_divergence(jnp.array([[1.0, 2.0]]), 0.5)
    # 4 (1, 0) + 1 (0.5, 3) + 2 (7, -2) + 0.5 (0, 10); trace 0.5 - 2
    np.testing.assert_allclose(velocity, [[18.5, 4.0]], rtol=1e-6)
    np.testing.assert_allclose(divergence, [-1.5], rtol=1e-6)
    np.testing.assert_allclose(field.velocity(jnp.array([[1.0, 2.0]]), 0.5), velocity)


def test_density_under_a_linear_field_with_two_steps():
    # Reverse Euler multiplies x by (1 - a/2)^2: 0.75^2 and 1.5^2 for a = 0.5 and -1; the divergence is -0.5 throughout.
    field = flow(linear_field([0.0, 0.0], [0.5, 0.0], [0.0, -1.0], [0.0, 0.0]), 1.0)
    found = log_density(field, jnp.array([[1.0, 2.0]]), 2)
    np.testing.assert_allclose(found, [-0.5 * (0.5625**2 + 4.5**2) - LOG_2_PI + 0.5], rtol=1e-6)


def test_many_steps_approach_the_exact_gaussian():
    # dx/dt = a x takes N(0, 1) to N(0, e^2a).
    a, x = 0.7, np.array([[-2.0], [0.3]], np.float32)
    field = FlowCondition(linear_field([0.0], [a], [0.0]), jnp.zeros((2, 1)))
    exact = -0.5 * (x[:, 0] / math.exp(a)) ** 2 - 0.5 * LOG_2_PI - a
    np.testing.assert_allclose(log_density(field, x, 1000), exact, atol=2e-3)


def test_the_two_directions_visit_different_times():
    # v = t: forwards over t = 0, 1/2, backwards over t = 1, 1/2.
    field = flow(linear_field([0.0], [0.0], [1.0]), 0.0)
    np.testing.assert_allclose(flow_actions(field, jnp.array([[0.1]]), 2), [[0.1 + 0.25]], rtol=1e-6)
    found = log_density(field, jnp.array([[0.1]]), 2)
    np.testing.assert_allclose(found, [-0.5 * (0.1 - 0.75) ** 2 - 0.5 * LOG_2_PI], rtol=1e-6)


def test_actions_are_clipped_at_the_end_only():
    # v = -x with two steps: z (1/2)^2; the first step leaves 6 / 2 outside of [-1, 1].
    field = flow(linear_field([0.0], [-1.0], [0.0]), 0.0)
    assert flow_actions(field, jnp.array([[3.0]]), 2).tolist() == [[pytest.approx(0.75)]]
    assert flow_actions(field, jnp.array([[-6.0]]), 2).tolist() == [[-1.0]]


def test_flow_matching_by_hand():
    # v = x, so the loss is ((1 - t) x0 + t a - (a - x0))^2: 0.625 - 0.5 and 0 - (-2)
    params = linear_field([0.0], [1.0], [0.0])
    actions, x0, t = jnp.array([[1.0], [-1.0]]), jnp.array([[0.5], [1.0]]), jnp.array([[0.25], [0.5]])
    found = flow_matching_loss(params, jnp.zeros((2, 1)), actions, x0, t)
    np.testing.assert_allclose(found, (0.125**2 + 2.0**2) / 2, rtol=1e-6)


def random_network(layer_norm: bool) -> tuple[dict, jax.Array]:
    params = init_mlp(jax.random.key(4), 2 + 3 + 1, (8, 7), 3, layer_norm=layer_norm)
    return params, jax.random.normal(jax.random.key(5), (4, 2))


@jax.jit
def fast(params: dict, features: jax.Array, x: jax.Array, t: jax.Array, probes: jax.Array) -> tuple:
    field = FlowCondition(params, features)
    return *field.velocity_and_divergence(x, t), *field.velocity_and_trace_estimate(x, t, probes)


@jax.jit
def jacobians(params: dict, features: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
    return jax.vmap(jax.jacfwd(lambda s, x, t: apply_mlp(params, s, x, t), 1))(features, x, t)


@pytest.mark.parametrize("layer_norm", [False, True])
@settings(max_examples=20, deadline=None)
@given(
    x=arrays(np.float32, (4, 3), elements=st.floats(-3, 3, width=32)),
    t=arrays(np.float32, (4, 1), elements=st.floats(0, 1, width=32)),
    probes=arrays(np.float32, (4, 2, 3), elements=st.floats(-2, 2, width=32)),
)
def test_divergences_equal_automatic_differentiation(layer_norm, x, t, probes):
    params, features = random_network(layer_norm)
    velocity, divergence, same_velocity, estimate = fast(params, features, x, t, probes)
    jacobian = np.asarray(jacobians(params, features, x, t))
    np.testing.assert_allclose(velocity, apply_mlp(params, features, x, t), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(same_velocity, velocity, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(divergence, np.trace(jacobian, axis1=1, axis2=2), rtol=1e-3, atol=1e-4)
    expected = np.einsum("bpi,bij,bpj->bp", probes, jacobian, probes).mean(1)
    np.testing.assert_allclose(estimate, expected, rtol=1e-3, atol=1e-4)


def test_estimates_are_exact_with_a_basis_and_with_all_signs():
    params, features = random_network(layer_norm=True)
    x, t = jax.random.normal(jax.random.key(6), (4, 3)), jnp.full((4, 1), 0.3)
    basis = math.sqrt(3) * jnp.eye(3)  # the mean over 3 probes of 3 e_i^T J e_i
    signs = jnp.array([[a, b, c] for a in (-1.0, 1) for b in (-1.0, 1) for c in (-1.0, 1)])
    for probes in (basis, signs):
        _, divergence, _, estimate = fast(params, features, x, t, jnp.broadcast_to(probes, (4, *probes.shape)))
        np.testing.assert_allclose(estimate, divergence, rtol=1e-4, atol=1e-5)


def test_density_with_exact_probes_equals_the_exact_density():
    params, features = random_network(layer_norm=False)
    x = jax.random.uniform(jax.random.key(7), (4, 3), minval=-1)
    probes = jnp.broadcast_to(math.sqrt(3) * jnp.eye(3), (5, 4, 3, 3))
    field = FlowCondition(params, features)
    np.testing.assert_allclose(log_density(field, x, 5, probes), log_density(field, x, 5), rtol=1e-4, atol=1e-4)


def test_each_euler_step_uses_its_own_probes():
    field = flow(linear_field([0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]), 0.0)
    x = jnp.zeros((1, 2))
    # e^T J e is 1 with the first basis vector and 0 with the second.
    probes = jnp.array([[[[1.0, 0.0]]], [[[0.0, 1.0]]], [[[0.0, 1.0]]], [[[0.0, 1.0]]]])
    np.testing.assert_allclose(log_density(field, x, 4, probes), [-LOG_2_PI - 1 / 4], rtol=1e-6)


def test_a_sample_does_not_see_the_others():
    params, features = random_network(layer_norm=True)
    x = jax.random.uniform(jax.random.key(8), (4, 3), minval=-1)
    together = log_density(FlowCondition(params, features), x, 3)
    order = jnp.array([2, 0, 3, 1])
    permuted = log_density(FlowCondition(params, features[order]), x[order], 3)
    np.testing.assert_allclose(permuted, together[order], rtol=1e-5)
