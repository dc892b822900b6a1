"""The fast updates equal the plainly written ones: same metrics and parameters, given the same draws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.state_arrays import to_arrays
from offlow_core.testing.plain_jax import PlainState, divergence
from offlow_fac.config import FacConfig, FqlConfig
from offlow_fac.fac import Fac
from offlow_fac.fql import Fql
from offlow_fac.testing import plain_fac, plain_fql

BATCH, OBSERVATION, ACTION = 16, 5, 3
WIDTHS = (32, 32)
LEARNING_RATE = 1e-3
FLOW_STEPS = 2


@pytest.fixture
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    densities = rng.normal(-2, 1, BATCH).astype(np.float32)
    return {
        "observations": rng.normal(size=(BATCH, OBSERVATION)).astype(np.float32),
        "next_observations": rng.normal(size=(BATCH, OBSERVATION)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (BATCH, ACTION)).astype(np.float32),
        "rewards": rng.normal(size=BATCH).astype(np.float32),
        "masks": (rng.random(BATCH) < 0.8).astype(np.float32),
        "estimated_logp": densities,
        "estimated_logp_min": np.full(BATCH, densities.min()),
    }


def assert_same(
    fast_state: Any, target: dict, fast_metrics: dict, plain_state: PlainState, plain_metrics: dict
) -> None:
    """Equal metrics and parameters, up to rounding.

    Adam's step is the step size times a sign where the gradient is nearly zero, hence the tolerance in proportion.
    """
    assert set(fast_metrics) == set(plain_metrics)
    for name, value in plain_metrics.items():
        np.testing.assert_allclose(fast_metrics[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    found = to_arrays({**fast_state.params, "target_critic": target})
    expected = to_arrays(plain_state.params)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=2e-2 * LEARNING_RATE, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {"bc_hidden_dims": (32, 32, 32)},
        {"bc_layer_norm": True, "q_agg": "mean", "fac_threshold": "dataset_wide_constant"},
        {"q_agg": "mean", "weight_type": "convex", "fac_threshold": "batch_wide_constant", "num_critics": 1},
        {"logp_method": "hutch-rade", "logp_hutch_probes": 4, "num_critics": 3, "value_layer_norm": False},
    ],
    ids=["three_layers", "layer_norm", "two_layers", "hutchinson"],
)
def test_fac(batch: dict, options: dict):
    widths = dict.fromkeys(("actor_hidden_dims", "value_hidden_dims", "bc_hidden_dims"), WIDTHS)
    agent = Fac(
        FacConfig(**{**widths, **options}, lr=LEARNING_RATE, tau=0.1, flow_steps=FLOW_STEPS), (OBSERVATION,), ACTION
    )
    state = agent.init(jax.random.key(1))
    plain_state = plain_fac.plain_state(state, agent.config, jax.random.key(2))

    @jax.jit
    def both(state: Any, plain_state: PlainState, key: jax.Array) -> tuple:
        noise = agent.draw_actor_critic_noise(key, BATCH)
        new, report = agent.update_actor_critic(state, batch, noise)
        return new, report(), *plain_fac.update_with(plain_state, batch, noise, agent.config)

    for i in range(2):
        state, metrics, plain_state, plain_metrics = both(state, plain_state, jax.random.key(i))
        assert_same(state, state.target_critic, metrics, plain_state, plain_metrics)


@pytest.mark.parametrize("options", [{}, {"q_agg": "min", "normalize_q_loss": True, "actor_layer_norm": True}])
def test_fql(batch: dict, options: dict):
    widths = dict.fromkeys(("actor_hidden_dims", "value_hidden_dims"), WIDTHS)
    agent = Fql(
        FqlConfig(**widths, lr=LEARNING_RATE, tau=0.1, flow_steps=FLOW_STEPS, **options), (OBSERVATION,), ACTION
    )
    state = agent.init(jax.random.key(1))
    plain_state = plain_fql.plain_state(state, agent.config, jax.random.key(2))

    @jax.jit
    def both(state: Any, plain_state: PlainState, key: jax.Array) -> tuple:
        noise = agent.draw_noise(key, BATCH)
        new, report = agent.update(state, batch, noise)
        return new, report(), *plain_fql.update_with(plain_state, batch, noise, agent.config)

    for i in range(2):
        state, metrics, plain_state, plain_metrics = both(state, plain_state, jax.random.key(i))
        assert_same(state, state.target, metrics, plain_state, plain_metrics)


def test_divergence_of_a_linear_field_is_the_trace_of_its_matrix():
    kernel = jnp.arange(12.0).reshape(4, 3)  # rows: one observation, two actions, t
    params = {"Dense_0": {"kernel": kernel[:, :2], "bias": jnp.zeros(2)}}
    found = divergence(params, jnp.ones((1, 1)), jnp.ones((1, 2)), jnp.ones((1, 1)))
    assert found.tolist() == [3.0 + 7.0]
