"""The fast updates equal the plainly written ones: same metrics and parameters, given the same draws."""

import jax
import numpy as np
import pytest

from offlow_core.jax.joint_training import JointAgent, JointState
from offlow_core.jax.state_arrays import to_arrays
from offlow_core.testing.plain_jax import PlainState
from offlow_deflow.config import DeFlowConfig, DeFlowVfConfig, FloqConfig
from offlow_deflow.deflow import DeFlow
from offlow_deflow.deflow_vf import DeFlowVf
from offlow_deflow.floq import Floq
from offlow_deflow.testing import plain_deflow, plain_return_flow

BATCH, OBSERVATION, ACTION = 16, 5, 3
LEARNING_RATE = 1e-3
SMALL = {"actor_hidden_dims": (16, 16), "value_hidden_dims": (16, 16), "lr": LEARNING_RATE, "tau": 0.1}
RETURNS = {"block_width": 16, "block_depth": 2, "noise_samples": 3, "critic_flow_steps": 2, "r_min": -2.0, "r_max": 0.0}


@pytest.fixture
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(BATCH, OBSERVATION)).astype(np.float32),
        "next_observations": rng.normal(size=(BATCH, OBSERVATION)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (BATCH, ACTION)).astype(np.float32),
        "rewards": rng.uniform(-2, 0, BATCH).astype(np.float32),
        "masks": (rng.random(BATCH) < 0.8).astype(np.float32),
    }


def assert_same(agent: JointAgent, state: JointState, metrics: dict, plain: PlainState, plain_metrics: dict) -> None:
    """Equal metrics and parameters, up to rounding.

    Adam's step is the step size times a sign where the gradient is nearly zero, hence the tolerance in proportion.
    """
    assert set(metrics) == set(plain_metrics)
    for name, value in plain_metrics.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    found = to_arrays({**state.params, f"target_{agent.target_source}": state.target})
    expected = to_arrays(plain.params)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=2e-2 * LEARNING_RATE, err_msg=name)


@pytest.mark.parametrize(
    ("agent", "plain_state", "plain_update"),
    [
        pytest.param(
            DeFlow(DeFlowConfig(**SMALL, flow_steps=2), (OBSERVATION,), ACTION),
            plain_deflow.plain_state,
            plain_deflow.update_with,
            id="deflow",
        ),
        pytest.param(
            DeFlow(
                DeFlowConfig(**SMALL, flow_steps=3, q_agg="min", normalize_q_loss=True, actor_layer_norm=True),
                (OBSERVATION,),
                ACTION,
            ),
            plain_deflow.plain_state,
            plain_deflow.update_with,
            id="deflow_min",
        ),
        pytest.param(
            DeFlowVf(DeFlowVfConfig(**SMALL, **RETURNS, flow_steps=2, q_agg="min"), (OBSERVATION,), ACTION),
            plain_return_flow.plain_state,
            plain_return_flow.update_vf_with,
            id="deflowvf",
        ),
        pytest.param(
            Floq(FloqConfig(**SMALL, **RETURNS, actor_flow_steps=2, alpha=3.0), (OBSERVATION,), ACTION),
            plain_return_flow.plain_state,
            plain_return_flow.update_floq_with,
            id="floq",
        ),
        pytest.param(
            Floq(
                FloqConfig(**SMALL, **RETURNS, actor_flow_steps=2, normalize_q_loss=True, time_embedding="fourier"),
                (OBSERVATION,),
                ACTION,
            ),
            plain_return_flow.plain_state,
            plain_return_flow.update_floq_with,
            id="floq_fourier",
        ),
    ],
)
def test_updates(agent: JointAgent, plain_state, plain_update, batch: dict):
    state = agent.init(jax.random.key(1))
    plain = plain_state(state, agent.config, jax.random.key(2))

    @jax.jit
    def both(state: JointState, plain: PlainState, key: jax.Array) -> tuple:
        noise = agent.draw_noise(key, BATCH)
        new, report = agent.update(state, batch, noise)
        return new, report(), *plain_update(plain, batch, noise, agent.config)

    for i in range(2):
        state, metrics, plain, plain_metrics = both(state, plain, jax.random.key(i))
        assert_same(agent, state, metrics, plain, plain_metrics)
