"""Perceptrons against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.networks import (
    activate,
    apply_ensemble,
    apply_mlp,
    depth,
    first_layer,
    init_ensemble,
    init_mlp,
    layer_norm,
)

# 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
GELU = {-1.0: -0.15880801, 0.0: 0.0, 1.0: 0.84119199, 2.0: 1.95459769}


def test_gelu_is_the_tanh_approximation():
    found = activate({}, 0, jnp.array(list(GELU)))
    np.testing.assert_allclose(found, list(GELU.values()), rtol=1e-6)
    # The exact function is 0.8413447 at 1.
    assert abs(found[2] - 0.8413447) > 1e-4


def test_layer_norm_by_hand():
    params = {"scale": jnp.array([1.0, 10.0]), "bias": jnp.array([0.0, 5.0])}
    # mean 2, variance 1
    np.testing.assert_allclose(layer_norm(params, jnp.array([1.0, 3.0])), [-1.0, 15.0], rtol=1e-5)
    # epsilon 1e-6 shows where the variance is 1e-6: mean 0, values +-1e-3 become +-1 / sqrt(2)
    np.testing.assert_allclose(
        layer_norm(params, jnp.array([-1e-3, 1e-3])), [-(0.5**0.5), 10 * 0.5**0.5 + 5], rtol=1e-4
    )
    # Rounding makes E[x^2] - E[x]^2 of equal large numbers negative; the result stays finite.
    assert np.isfinite(layer_norm(params, jnp.array([12345.678, 12345.678]))).all()


def by_hand(with_norm: bool) -> dict:
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0, 0.0], [0.0, 2.0]]), "bias": jnp.array([0.0, -1.0])},
        "Dense_1": {"kernel": jnp.array([[3.0], [1.0]]), "bias": jnp.array([0.5])},
    }
    if with_norm:
        params["LayerNorm_0"] = {"scale": jnp.ones(2), "bias": jnp.zeros(2)}
    return params


def test_a_network_of_two_layers_by_hand():
    x = jnp.array([[2.0, 0.5]])  # hidden layer before GELU: (2, 0)
    assert apply_mlp(by_hand(False), x) == pytest.approx(3 * GELU[2.0] + 0.5)
    # GELU first, then the norm: (1.95, 0) becomes (1, -1)
    assert apply_mlp(by_hand(True), x) == pytest.approx(3 - 1 + 0.5, rel=1e-5)


def test_inputs_are_seen_side_by_side():
    params = init_mlp(jax.random.key(0), 5, (4,), 2, layer_norm=True)
    x = jnp.arange(10.0).reshape(2, 5)
    together = apply_mlp(params, x)
    np.testing.assert_allclose(apply_mlp(params, x[:, :2], x[:, 2:3], x[:, 3:]), together, rtol=1e-5)
    np.testing.assert_allclose(
        first_layer(params, x[:, :2]) + x[:, 2:] @ params["Dense_0"]["kernel"][2:],
        first_layer(params, x),
        rtol=1e-5,
    )


def test_initial_parameters():
    params = init_mlp(jax.random.key(3), 30, (50, 20), 10, layer_norm=True)
    assert set(params) == {"Dense_0", "Dense_1", "Dense_2", "LayerNorm_0", "LayerNorm_1"}
    assert depth(params) == 3
    for name, (fan_in, fan_out) in {"Dense_0": (30, 50), "Dense_1": (50, 20), "Dense_2": (20, 10)}.items():
        kernel, limit = np.asarray(params[name]["kernel"]), (6 / (fan_in + fan_out)) ** 0.5
        assert kernel.shape == (fan_in, fan_out)
        assert 0.95 * limit < np.abs(kernel).max() <= limit
        # A uniform variable on +-l has variance l^2 / 3.
        assert kernel.var() == pytest.approx(limit**2 / 3, rel=0.15)
        assert not params[name]["bias"].any()
    assert (params["LayerNorm_1"]["scale"] == 1).all()
    assert not params["LayerNorm_1"]["bias"].any()
    assert set(init_mlp(jax.random.key(3), 3, (5,), 1)) == {"Dense_0", "Dense_1"}


@pytest.mark.parametrize("members", [1, 3])
def test_an_ensemble_is_its_members_side_by_side(members):
    params = init_ensemble(jax.random.key(1), members, 3, (4,), layer_norm=True)
    x = jax.random.normal(jax.random.key(2), (5, 3))
    values = apply_ensemble(params, x)
    assert values.shape == (members, 5)
    for i in range(members):
        member = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        np.testing.assert_allclose(values[i], apply_mlp(member, x)[:, 0], rtol=1e-5)
    assert len(np.unique(params["Dense_0"]["kernel"])) == members * 3 * 4


def test_changing_one_member_leaves_the_others():
    params = init_ensemble(jax.random.key(1), 2, 3, (4,))
    x = jnp.ones((1, 3))
    before = apply_ensemble(params, x)
    params["Dense_0"]["kernel"] = params["Dense_0"]["kernel"].at[0].add(1.0)
    after = apply_ensemble(params, x)
    assert after[0] != before[0]
    assert after[1] == before[1]
