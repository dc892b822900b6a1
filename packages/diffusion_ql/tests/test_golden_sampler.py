"""Schedules, time features, sampling chains and action selection against recorded ones of the official code."""

import numpy as np
import pytest
import torch

from offlow_core.testing.golden import GoldenCase, case_files, load_case
from offlow_core.torch.state_arrays import load_arrays
from offlow_core.torch.time_features import time_features
from offlow_diffusion_ql import upstream_names
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.families import make_family, make_policy_network
from offlow_diffusion_ql.generative_policy import ChainNoise
from offlow_diffusion_ql.losses import select_candidates, selection_probabilities
from offlow_diffusion_ql.networks import PolicyNetwork, TwinCritic
from offlow_diffusion_ql.schedules import make_schedule

CASES = [case for case in map(load_case, case_files(__file__, "diffusion_ql")) if "combos" in case.config]
CLOSE = {"rtol": 2e-4, "atol": 2e-6}
CPU = torch.device("cpu")
OUR_NAMES = {"posterior_mean_coef1": "posterior_mean_of_action", "posterior_mean_coef2": "posterior_mean_of_x"}


def tensors(group: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(array)) for name, array in group.items()}


def policy_network(case: GoldenCase) -> PolicyNetwork:
    config = DiffusionQlConfig(actor_hidden=case.config["actor_hidden"], time_dim=case.config["t_dim"])
    network = make_policy_network(config, case.config["state_dim"], case.config["action_dim"])
    load_arrays(network.state_dict(), upstream_names.policy_from_upstream(case.group("params/actor")))
    return network.requires_grad_(False)


def target_critic(case: GoldenCase) -> TwinCritic:
    critic = TwinCritic(case.config["state_dim"], case.config["action_dim"], case.config["critic_hidden"])
    load_arrays(critic.state_dict(), upstream_names.critic_from_upstream(case.group("params/critic_target")))
    return critic.requires_grad_(False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_schedules(case: GoldenCase):
    recorded = case.tree("schedule")
    assert recorded
    for tag, arrays in recorded.items():
        name, steps = tag.rsplit("_T", 1)
        schedule = make_schedule(name, int(steps))
        for field, value in arrays.items():
            ours = OUR_NAMES.get(field, field)
            if hasattr(schedule, ours):
                np.testing.assert_allclose(getattr(schedule, ours), value, rtol=1e-6, err_msg=f"{tag} {field}")
        std = np.exp(0.5 * arrays["posterior_log_variance_clipped"])
        np.testing.assert_allclose(schedule.posterior_std, std, rtol=1e-6, err_msg=tag)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_time_features(case: GoldenCase):
    times = {"int": torch.arange(10.0), "float": torch.from_numpy(case.arrays["time_embedding/float_t"])}
    recorded = case.tree("time_embedding")
    for dim, kinds in recorded.items():
        if dim.startswith("dim"):
            for kind, value in kinds.items():
                np.testing.assert_allclose(time_features(times[kind], int(dim[3:])), value, **CLOSE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_sampling_chains(case: GoldenCase):
    network, observations = policy_network(case), torch.from_numpy(case.arrays["batch/observations"])
    for combination in case.config["combos"]:
        tag = combination.pop("tag")
        family = make_family(DiffusionQlConfig(**combination), CPU)
        noise = tensors(case.group(f"noise/{tag}"))
        chain = family.chain(network, network.of_states(observations), ChainNoise(noise["x_T"], noise["step_noise"]))
        expected = case.group(f"expected/{tag}")
        np.testing.assert_allclose(torch.stack(chain), expected["chain"], **CLOSE, err_msg=tag)
        np.testing.assert_allclose(chain[-1].clamp(-1, 1), expected["action"], **CLOSE, err_msg=tag)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_flow_actions(case: GoldenCase):
    network, observations = policy_network(case), torch.from_numpy(case.arrays["batch/observations"])
    family = make_family(DiffusionQlConfig(policy="flow", n_timesteps=case.config["flow_n_timesteps"]), CPU)
    start = torch.from_numpy(case.arrays["noise/flow/x_0"])
    actions = family.sample(network, network.of_states(observations), ChainNoise(start, start[None][:0]))
    np.testing.assert_allclose(actions, case.arrays["expected/flow/action"], **CLOSE)


@pytest.mark.parametrize("kind", ["diffusion", "flow"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_action_selection(case: GoldenCase, kind: str):
    network, critic = policy_network(case), target_critic(case)
    steps = case.config["flow_n_timesteps"] if kind == "flow" else 5
    family = make_family(DiffusionQlConfig(policy=kind, n_timesteps=steps), CPU)
    noise, expected = tensors(case.group(f"noise/select_{kind}")), case.group(f"expected/select_{kind}")
    observation = torch.from_numpy(case.arrays["batch/observations"][:1])
    start = noise["x_T"] if kind == "diffusion" else noise["x_0"]
    draws = ChainNoise(start[None], noise.get("step_noise", start[None][:0])[:, None])
    candidates = family.sample(network, network.of_states(observation)[:, None], draws)
    values = critic(observation, candidates)
    probabilities = selection_probabilities(values)
    np.testing.assert_allclose(candidates[0], expected["candidates"], **CLOSE)
    np.testing.assert_allclose(values.amin(0)[0], expected["q_min"].reshape(-1), **CLOSE)
    np.testing.assert_allclose(probabilities[0], expected["probabilities"].reshape(-1), **CLOSE)
    index = int(noise["index"])
    just_below = probabilities[:, : index + 1].sum(1) - 0.5 * probabilities[:, index]
    assert select_candidates(values, just_below).tolist() == [index]
    np.testing.assert_allclose(candidates[0, index], np.squeeze(expected["action"]), **CLOSE)
