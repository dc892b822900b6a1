"""DeFlow-VF against recorded updates of the official code (OFFLOW_GOLDEN names another folder of cases)."""

import jax
import pytest

from offlow_core.jax.joint_training import JointState
from offlow_core.jax.state_arrays import to_arrays
from offlow_core.testing.golden import (
    GoldenCase,
    assert_expected,
    assert_gradients,
    assert_parameters,
    case_files,
    load_case,
)
from offlow_deflow.config import DeFlowVfConfig
from offlow_deflow.deflow_vf import DeFlowVf
from offlow_deflow.return_flow_losses import FlowCriticNoise, ReturnNoise
from offlow_deflow.testing.recorded import make_agent, named, state_of

CASES = [load_case(path) for path in case_files(__file__, "deflowvf")]


@jax.jit(static_argnums=0)
def step(agent: DeFlowVf, state: JointState, batch: dict, noise: FlowCriticNoise) -> tuple:
    gradients, parts = agent.gradients(state, batch, noise)
    state, report = agent.update(state, batch, noise)
    return state, gradients, {**parts, "q": parts["q_pred"], **report()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_updates(case: GoldenCase):
    agent = make_agent(DeFlowVf, DeFlowVfConfig, case, squared_fixed_alpha=True)
    state = state_of(agent, case)
    for suffix in case.iterations:
        noise = case.group(f"noise{suffix}")
        returns = ReturnNoise(noise["next_return_ratio"], noise["return_ratio"], noise["return_t"])
        actor = (noise[name] for name in ("bc_x0", "bc_t", "base_action", "metric_action"))
        draws = FlowCriticNoise(noise["next_action"], returns, *actor)
        state, gradients, found = step(agent, state, case.group(f"batch{suffix}"), draws)
        assert_expected(case, suffix, found)
        if suffix == "":
            assert_gradients(case, to_arrays(named(agent, gradients)))
        assert_parameters(case, suffix, to_arrays(named(agent, state.params, state.target)), agent.config.lr)
