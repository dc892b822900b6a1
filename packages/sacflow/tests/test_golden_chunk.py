"""Updates of the agents with chunks against recorded ones of the official code (OFFLOW_GOLDEN: another folder)."""

import numpy as np
import pytest
import torch

from offlow_core.testing.golden import GoldenCase, case_files, load_case
from offlow_core.torch.device_data import Batch
from offlow_core.training.saved_arrays import part_of
from offlow_sacflow.chunk.acfql import Acfql
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.config import AcfqlConfig, ChunkFlowGConfig, ChunkFlowTConfig, ChunkNaiveConfig
from offlow_sacflow.chunk.flax_names import load_official, official_gradients, official_params
from offlow_sacflow.chunk.losses import Loss
from offlow_sacflow.chunk.naive import ChunkNaive
from offlow_sacflow.chunk.noise import AcfqlNoise, CloningNoise, FlowOnlineNoise, SacImitationNoise, SacOnlineNoise
from offlow_sacflow.chunk.sac_flow import ChunkSacFlow
from offlow_sacflow.rollout import RolloutNoise

CASES = [case for case in map(load_case, case_files(__file__, "sacflow_offline")) if "ops" in case.config]
KINDS = {
    "acfql": (Acfql, AcfqlConfig),
    "sac_t": (ChunkSacFlow, ChunkFlowTConfig),
    "sac_g": (ChunkSacFlow, ChunkFlowGConfig),
    "naive": (ChunkNaive, ChunkNaiveConfig),
}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
CLOSE_PARAMETERS = {"rtol": 1e-4, "atol": 5e-6}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
Noise = AcfqlNoise | FlowOnlineNoise | SacImitationNoise | SacOnlineNoise
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def make_agent(case: GoldenCase, device: str = "cpu") -> ChunkAgent:
    """The agent of a case with its parameters."""
    kind, config_type = KINDS[case.config["agent"]]
    settings = {name: value for name, value in case.settings(config_type).items() if value is not None}
    sizes = case.config["obs_dim"], case.config["act_dim"]
    agent = kind(config_type(**settings), *sizes, seed=0, device=torch.device(device))
    load_official(agent, {f"params/{name}": array for name, array in case.group("params").items()})
    return agent


def params_of(agent: ChunkAgent) -> dict[str, np.ndarray]:
    return part_of(official_params(agent), "params/")


def is_idle(name: str) -> bool:
    """Whether the official transformer has this, and never moves it; there is none of it here."""
    return "q_proj" in name or "k_proj" in name


def on_device(device: str, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)).to(device) for name, array in arrays.items()}


def noise_of(case: GoldenCase, number: int, device: str) -> Noise:
    """What an update drew. The gated field's rollouts have one array in common."""
    draws, agent = on_device(device, case.group(f"noise_{number}")), case.config["agent"]
    fixed = on_device(device, case.group("noise")).get("fixed_batch")
    cloning = CloningNoise(draws["bc/x0"], draws["bc/t"]) if "bc/x0" in draws else None

    def rollout(part: str) -> RolloutNoise:
        start = draws[f"{part}/x0"]
        steps = draws[f"{part}/eps"] if fixed is None else fixed.expand(case.config["denoising_steps"], *start.shape)
        return RolloutNoise(start, steps)

    if agent in ("sac_t", "sac_g"):
        if cloning is not None:
            return SacImitationNoise(rollout("critic"), cloning)
        return SacOnlineNoise(rollout("critic"), rollout("actor"))
    if cloning is not None:
        return AcfqlNoise(draws["critic/x0"], cloning, draws.get("distill/x0"))
    return FlowOnlineNoise(draws["critic/x0"], draws["actor/x0"])


def loss_of(agent: ChunkAgent, op: str, batch: Batch, noise: Noise) -> Loss:
    if isinstance(agent, Acfql):
        return agent.loss(batch, noise)
    return agent.imitation_loss(batch, noise) if op == "offline" else agent.online_loss(batch, noise)


def update(agent: ChunkAgent, op: str, batch: Batch, noise: Noise) -> dict[str, torch.Tensor]:
    if isinstance(agent, Acfql):
        return agent.update(batch, noise)
    return agent.imitation_update(batch, noise) if op == "offline" else agent.online_update(batch, noise)


def values_of(agent: ChunkAgent, loss: Loss, metrics: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """What an update went through, under the names of the cases."""
    total, parts = loss
    found = {f"info/{name}": value for name, value in metrics.items()}
    names = {"next_actions": "next_actions", "next_q": "next_values", "q": "values", "next_log_prob": "next_log_probs"}
    found |= {name: parts[part] for name, part in names.items() if part in parts}
    if isinstance(agent, ChunkSacFlow):
        found["alpha_after"] = agent.entropy_weight.value
    return {name: value.detach().cpu().numpy() for name, value in (found | {"total_loss": total}).items()}


def assert_params(case: GoldenCase, agent: ChunkAgent, number: int) -> None:
    found = params_of(agent)
    for name, value in case.group(f"params_after_{number}").items():
        message = f"{case.name} {name} after {number}"
        if is_idle(name):
            np.testing.assert_array_equal(value, case.arrays[f"params/{name}"], err_msg=message)
        else:
            np.testing.assert_allclose(found[name], value, **CLOSE_PARAMETERS, err_msg=message)


def assert_gradients(case: GoldenCase, agent: ChunkAgent, loss: torch.Tensor, number: int) -> None:
    found = part_of(official_gradients(agent, agent.gradients(loss)), "params/")
    for name, value in case.group(f"grads_{number}").items():
        np.testing.assert_allclose(found[name], value, **CLOSE, err_msg=f"{case.name} grads_{number}/{name}")


def test_there_are_cases():
    assert CASES
    assert {case.config["agent"] for case in CASES} <= set(KINDS)


@pytest.mark.parametrize("device", DEVICES)
@each_case
def test_updates(case: GoldenCase, device: str):
    agent, batch = make_agent(case, device), on_device(device, case.group("batch"))
    ops = case.config["ops"]
    for number, op in enumerate(ops, 1):
        if number == len(ops) and case.config.get("online_alpha") is not None:
            agent.begin_online()
        noise = noise_of(case, number, device)
        loss = loss_of(agent, op, batch, noise)
        assert_gradients(case, agent, loss[0], number)
        found = values_of(agent, loss, update(agent, op, batch, noise))
        expected = case.group(f"expected_{number}")
        assert set(expected) <= set(found), set(expected) - set(found)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, **CLOSE, err_msg=f"{case.name} {name} in update {number}")
        assert_params(case, agent, number)


@pytest.mark.parametrize("device", DEVICES)
@each_case
def test_acting(case: GoldenCase, device: str):
    agent, draws = make_agent(case, device), on_device(device, case.group("noise/sample"))
    observation = on_device(device, case.group("batch"))["observations"][:1]
    with torch.no_grad():
        if isinstance(agent, ChunkSacFlow):
            steps = draws["eps"] if "eps" in draws else draws["fixed"].expand(case.config["denoising_steps"], -1)
            actions = agent.act(observation, torch.cat([draws["x0"][None], steps])[None])
        else:
            actions = agent.act(observation, draws["x0"][None])
    expected = case.arrays["expected/sample_actions"]
    np.testing.assert_allclose(actions[0].cpu(), expected, **CLOSE, err_msg=case.name)


@each_case
def test_parameters_go_through_ours_and_back_unchanged(case: GoldenCase):
    params = case.group("params")
    found = params_of(make_agent(case))
    assert set(found) == set(params)
    for name, value in params.items():
        np.testing.assert_array_equal(found[name], 0 * value if is_idle(name) else value, err_msg=name)
