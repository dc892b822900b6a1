"""FQL against recorded updates of the official code, number by number (OFFLOW_GOLDEN names another folder of cases)."""

import jax
import pytest

from offlow_core.jax.encoders import Impala
from offlow_core.jax.joint_noise import JointNoise
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
from offlow_fac.config import FqlConfig
from offlow_fac.fql import Fql

CASES = [load_case(path) for path in case_files(__file__, "fql")]


@jax.jit(static_argnums=0)
def step(agent: Fql, state: JointState, batch: dict, noise: JointNoise) -> tuple:
    gradients, parts = agent.gradients(state, batch, noise)
    state, report = agent.update(state, batch, noise)
    return state, gradients, {**parts, **report()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_updates(case: GoldenCase):
    encoder = None if case.encoder_sizes is None else Impala(**case.encoder_sizes)
    config = FqlConfig(**case.settings(FqlConfig))
    agent = Fql(config, case.observation_shape, case.config["action_dim"], encoder)
    tree = case.tree("params")
    state = agent.with_fresh_optimizer({k: v for k, v in tree.items() if k != "target_critic"}, tree["target_critic"])
    for suffix in case.iterations:
        noise = case.group(f"noise{suffix}")
        draws = JointNoise(noise["next_action"], noise["bc_x0"], noise["bc_t"], noise["actor"], noise["mse_action"])
        state, gradients, found = step(agent, state, case.group("batch"), draws)
        assert_expected(case, suffix, found)
        if suffix == "":
            assert_gradients(case, to_arrays(gradients))
        assert_parameters(case, suffix, to_arrays({**state.params, "target_critic": state.target}), agent.config.lr)
