"""FAC against recorded updates of the official code, number by number (OFFLOW_GOLDEN names another folder of cases)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.frames import crop_batch
from offlow_core.data.transitions import Transitions
from offlow_core.jax.encoders import ENCODERS, Impala
from offlow_core.jax.flows import flow_actions, log_density
from offlow_core.jax.state_arrays import to_arrays
from offlow_core.testing.golden import (
    GoldenCase,
    assert_expected,
    assert_gradients,
    assert_parameters,
    case_files,
    load_case,
)
from offlow_fac.config import FacConfig
from offlow_fac.fac import Fac, FacState
from offlow_fac.fac_losses import ActorCriticNoise, FlowNoise, behaviour_condition

CASES = [load_case(path) for path in case_files(__file__, "fac")]
UPDATES = [case for case in CASES if {"train_bc", "train_ac"} & set(case.config["modes"])]
DENSITIES = [case for case in CASES if "logp" in case.config["modes"]]
ENCODERS_RECORDED = [case for case in CASES if "encoder" in case.config["modes"]]


def name_of(case: GoldenCase) -> str:
    return case.name


def make_agent(case: GoldenCase) -> Fac:
    encoder = None if case.encoder_sizes is None else Impala(**case.encoder_sizes)
    config = FacConfig(**case.settings(FacConfig))
    return Fac(config, case.observation_shape, case.config["action_dim"], encoder)


def recorded_state(agent: Fac, case: GoldenCase) -> FacState:
    tree = case.tree("params")
    behaviour = {name: part for name, part in tree.items() if name.startswith("bc_flow")}
    params = {name: tree[name] for name in ("critic", "actor_onestep") if name in tree}
    return agent.with_fresh_optimizers(params, tree.get("target_critic", {}), behaviour)


def parameters(state: FacState) -> dict[str, np.ndarray]:
    return to_arrays({**state.params, "target_critic": state.target_critic, **state.behaviour})


@jax.jit(static_argnums=0)
def behaviour_step(agent: Fac, state: FacState, batch: dict, noise: FlowNoise) -> tuple:
    gradients, parts = agent.behaviour_gradients(state, batch, noise)
    state, report = agent.update_behaviour_flow(state, batch, noise)
    return state, gradients, {"loss_bc": parts["bc_flow_loss"], **report()}


@jax.jit(static_argnums=(0, 4))
def actor_critic_step(agent: Fac, state: FacState, batch: dict, noise: ActorCriticNoise, online: bool) -> tuple:
    gradients, parts = agent.actor_critic_gradients(state, batch, noise, online=online)
    state, report = agent.update_actor_critic(state, batch, noise, online=online)
    return state, gradients, {**parts, **report()}


def one_iteration(agent: Fac, state: FacState, case: GoldenCase, suffix: str) -> tuple:
    """All updates of one recorded iteration: new state, gradients and everything that can be expected."""
    batch, noise = case.group("batch"), case.group(f"noise{suffix}")
    gradients: dict = {}
    found: dict = {}
    for mode in case.config["modes"]:
        if mode == "train_bc":
            draws = FlowNoise(noise["bc_x0"], noise["bc_t"])
            state, new_gradients, new = behaviour_step(agent, state, batch, draws)
        else:
            probes = noise.get("hutch_pi"), noise.get("hutch_beta")
            draws = ActorCriticNoise(noise["next_action"], noise["penalty_action"], noise["actor"], *probes)
            online = case.config["online_finetuning"]
            state, new_gradients, new = actor_critic_step(agent, state, batch, draws, online)
        gradients |= to_arrays(new_gradients)
        found |= new
    return state, gradients, found


@pytest.mark.parametrize("case", UPDATES, ids=name_of)
def test_updates(case: GoldenCase):
    agent = make_agent(case)
    state = recorded_state(agent, case)
    for suffix in case.iterations:
        state, gradients, found = one_iteration(agent, state, case, suffix)
        assert_expected(case, suffix, found)
        if suffix == "":
            assert_gradients(case, gradients)
        assert_parameters(case, suffix, parameters(state), agent.config.lr)


@pytest.mark.parametrize("case", DENSITIES, ids=name_of)
def test_densities(case: GoldenCase):
    agent = make_agent(case)
    behaviour = recorded_state(agent, case).behaviour
    batch, noise, dataset = case.group("batch"), case.group("noise"), case.group("dataset")
    steps = agent.config.flow_steps
    flow = behaviour_condition(behaviour, agent.encoder, batch["observations"])

    def at_given_times() -> tuple:
        return flow.velocity_and_divergence(batch["actions"], batch["div_times"][:, None])

    def of_dataset() -> jax.Array:
        condition = behaviour_condition(behaviour, agent.encoder, dataset["observations"])
        return log_density(condition, dataset["actions"], steps)

    quantities = {
        "logp_exact": lambda: log_density(flow, batch["actions"], steps),
        "logp_hutch_rade": lambda: log_density(flow, batch["actions"], steps, noise["hutch_rade"]),
        "logp_hutch_gaus": lambda: log_density(flow, batch["actions"], steps, noise["hutch_gaus"]),
        "velocity": lambda: at_given_times()[0],
        "divergence": lambda: at_given_times()[1],
        "flow_actions": lambda: flow_actions(flow, noise["flow"], steps),
        "dataset_logp": of_dataset,
        "dataset_logp_min": lambda: jnp.nanmin(of_dataset()),
    }
    assert_expected(case, "", {name: quantities[name]() for name in case.group("expected")})


@pytest.mark.parametrize("case", ENCODERS_RECORDED, ids=name_of)
def test_encoder_and_frames(case: GoldenCase):
    base = ENCODERS[case.config["encoder"]]
    encoder = Impala(base.stack_sizes, base.num_blocks, tuple(case.config["mlp_hidden_dims"]))
    batch, params, dataset = case.group("batch"), case.tree("params"), case.group("dataset")
    rows = len(dataset["observations"])
    transitions = Transitions.from_arrays(
        **dataset, actions=np.zeros((rows, 1), np.float32), rewards=np.zeros(rows), masks=np.ones(rows)
    )
    channels = case.arrays["expected/stacked_observations"].shape[-1]
    stacked = transitions.gather(batch["idxs"], frame_stack=channels // dataset["observations"].shape[-1])
    cropped = crop_batch(stacked, batch["crop_froms"])
    found = {
        "features": encoder.apply(params, batch["images"]),
        "features_single": encoder.apply(params, batch["images"][0]),
        "stacked_observations": stacked["observations"],
        "stacked_next_observations": stacked["next_observations"],
        "cropped_observations": cropped["observations"],
        "cropped_next_observations": cropped["next_observations"],
    }
    assert_expected(case, "", found)
