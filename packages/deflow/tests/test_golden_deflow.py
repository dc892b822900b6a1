"""DeFlow against recorded updates of the official code (OFFLOW_GOLDEN names another folder of cases)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.transitions import Transitions
from offlow_core.jax.device_data import Sampler, crop, to_device
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
from offlow_deflow.action_selection import best_sample, repeated_refinement
from offlow_deflow.config import DeFlowConfig
from offlow_deflow.deflow import DeFlow
from offlow_deflow.testing.recorded import make_agent, named, state_of

CASES = [load_case(path) for path in case_files(__file__, "deflow")]
UPDATES = [case for case in CASES if case.has("grads")]
SELECTIONS = [case for case in CASES if "noise/max_q" in case.arrays]
IMAGES = [case for case in CASES if "crop_from" in case.arrays]
VARIANCES = [case for case in CASES if "query_indices" in case.arrays]  # checked in the core, which estimates them


def test_every_case_is_checked_for_something():
    kinds = [UPDATES, SELECTIONS, IMAGES, VARIANCES]
    assert UPDATES
    assert {case.name for case in CASES} == {case.name for kind in kinds for case in kind}


@jax.jit(static_argnums=0)
def step(agent: DeFlow, state: JointState, batch: dict, noise: JointNoise) -> tuple:
    gradients, parts = agent.gradients(state, batch, noise)
    state, report = agent.update(state, batch, noise)
    return state, gradients, {**parts, "q": parts["q_pred"], **report()}


@pytest.mark.parametrize("case", UPDATES, ids=lambda case: case.name)
def test_updates(case: GoldenCase):
    agent = make_agent(DeFlow, DeFlowConfig, case, squared_fixed_alpha=True)
    state = state_of(agent, case)
    for suffix in case.iterations:
        noise = case.group(f"noise{suffix}")
        names = ("next_action", "bc_x0", "bc_t", "base_action", "metric_action")
        state, gradients, found = step(
            agent, state, case.group(f"batch{suffix}"), JointNoise(*(noise[name] for name in names))
        )
        assert_expected(case, suffix, found)
        if suffix == "":
            assert_gradients(case, to_arrays(named(agent, gradients)))
        assert_parameters(case, suffix, to_arrays(named(agent, state.params, state.target)), agent.config.lr)


@pytest.mark.parametrize("case", SELECTIONS, ids=lambda case: case.name)
def test_action_selection(case: GoldenCase):
    expected, noise, s = case.group("expected"), case.group("noise"), case.arrays["batch/observations"]
    sizes = {"num_samples": noise["max_q"].shape[1], "num_refine_steps": expected["iterative_q"].shape[1] - 1}
    agent = make_agent(DeFlow, DeFlowConfig, case, **sizes)
    upstream = make_agent(DeFlow, DeFlowConfig, case, **sizes, upstream_argmin=True)
    state = state_of(agent, case)
    found = {"plain_batch": agent.sample_actions(state.params, s, noise["plain_batch"])}
    best, found["max_q_base_q"], _ = best_sample(agent, state, s, noise["max_q"])
    found["max_q_upstream_argmin"], _, index = best_sample(upstream, state, s, noise["max_q"])
    iterative, found["iterative_candidates"], found["iterative_q"], chosen = repeated_refinement(
        agent, state, s, noise["iterative"]
    )
    for name, value in {**found, "max_q_argmax": best, "iterative": iterative}.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=5e-6, err_msg=name)
    np.testing.assert_array_equal(index, expected["max_q_argmin_index"])
    np.testing.assert_array_equal(chosen, expected["iterative_index"])


@pytest.mark.parametrize("case", IMAGES, ids=lambda case: case.name)
def test_frames_are_stacked_and_cropped(case: GoldenCase):
    arrays, n = case.group("dataset"), len(case.arrays["dataset/actions"])
    data = to_device(Transitions.from_arrays(**arrays, rewards=np.zeros(n), masks=np.ones(n)))
    indices, padding = jnp.asarray(case.arrays["indices"]), case.config["padding"]
    np.testing.assert_array_equal(data.starts[indices], case.arrays["expected/initial_index"])
    batch = Sampler(frame_stack=case.config["frame_stack"]).gather(data, indices, {})
    for name in ("observations", "next_observations"):
        np.testing.assert_array_equal(batch[name], case.arrays[f"expected/{name}"])
        cropped = crop(batch[name], jnp.asarray(case.arrays["crop_from"]), padding)
        np.testing.assert_array_equal(cropped, case.arrays[f"expected/augmented_{name}"])
