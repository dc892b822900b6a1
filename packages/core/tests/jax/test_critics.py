"""Targets, ensembles and averages by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.critics import (
    aggregate,
    bellman_target,
    critic_values,
    encode,
    gradient_statistics,
    init_critic,
    moving_average,
    scaled_q_loss,
    with_encoder,
)
from offlow_core.jax.encoders import Impala


def test_aggregation_is_over_members():
    values = jnp.array([[1.0, 5.0, -2.0], [3.0, 4.0, -4.0]])
    assert aggregate(values, "min").tolist() == [1.0, 4.0, -4.0]
    assert aggregate(values, "mean").tolist() == [2.0, 4.5, -3.0]
    for rule in ("min", "mean"):
        assert aggregate(values[:1], rule).tolist() == [1.0, 5.0, -2.0]


def test_bellman_target_stops_at_true_ends():
    found = bellman_target(jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0]), jnp.array([10.0, 99.0]), 0.9)
    assert found.tolist() == [8.0, 0.0]


def test_moving_average_by_hand():
    found = moving_average({"a": {"b": jnp.array([0.0, 10.0])}}, {"a": {"b": jnp.array([4.0, 20.0])}}, 0.25)
    assert found["a"]["b"].tolist() == [1.0, 12.5]


@pytest.mark.parametrize(
    ("normalize", "epsilon", "loss", "gradient"),
    [(False, 0.0, 1.0, -0.5), (True, 0.0, 0.5, -0.25), (True, 2.0, 0.25, -0.125)],
)
def test_q_loss_and_its_gradient(normalize, epsilon, loss, gradient):
    # mean -1, mean of absolute values 2, which is a constant of the gradient
    values = jnp.array([1.0, -3.0])
    found, gradients = jax.value_and_grad(lambda v: scaled_q_loss(v, normalize=normalize, epsilon=epsilon))(values)
    assert (float(found), gradients.tolist()) == (loss, [gradient, gradient])


def test_gradient_statistics_by_hand():
    found = gradient_statistics({"a": jnp.array([3.0, -4.0]), "b": {"c": jnp.array([[0.5]])}})
    assert {k: float(v) for k, v in found.items()} == {"grad/max": 3.0, "grad/min": -4.0, "grad/norm": 5.5}


@pytest.mark.parametrize("members", [1, 3])
def test_a_critic_keeps_its_member_axis(members):
    critic = init_critic(jax.random.key(0), None, (4,), 2, members=members, hidden_dims=(8,), layer_norm=True)
    assert set(critic) == {"value_net"}
    assert critic["value_net"]["Dense_0"]["kernel"].shape == (members, 6, 8)
    features, actions = jnp.ones((5, 4)), jnp.arange(20.0).reshape(2, 5, 2)
    assert critic_values(critic, features, actions[0]).shape == (members, 5)
    both = critic_values(critic, features, actions)
    assert both.shape == (members, 2, 5)
    np.testing.assert_allclose(both[:, 1], critic_values(critic, features, actions[1]), rtol=1e-5)


def test_members_share_one_encoder():
    encoder = Impala((2,), 1, (3,))
    critic = init_critic(jax.random.key(0), encoder, (4, 4, 1), 2, members=2, hidden_dims=(8,), layer_norm=False)
    assert critic["value_net"]["Dense_0"]["kernel"].shape == (2, 3 + 2, 8)
    assert critic["encoder"]["MLP_0"]["Dense_0"]["kernel"].shape == (2 * 2 * 2, 3)
    images = jnp.zeros((5, 4, 4, 1), jnp.uint8)
    assert encode(encoder, critic, images).shape == (5, 3)
    states = jnp.ones((5, 4))
    assert encode(None, critic, states) is states
    assert with_encoder({"mlp": {}}, None, jax.random.key(0), (4,)) == {"mlp": {}}
