"""The networks: sizes, starts, and what they leave out, against plain formulas."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scratch_agents import ACTIONS, KINDS, OBSERVATIONS, ROWS, make_agent, make_batch, make_config, unsettle
from torch import Tensor, nn
from torch.nn import functional

from offlow_core.torch.state_arrays import to_arrays
from offlow_core.torch.time_features import time_features
from offlow_sacflow.flax_parameters import to_flax
from offlow_sacflow.scratch.config import CONFIGS, NaiveConfig
from offlow_sacflow.scratch.critic import CriticEnsemble
from offlow_sacflow.scratch.flax_names import actor_table, critic_table
from offlow_sacflow.scratch.flow_g import FlowG
from offlow_sacflow.scratch.policy import make_velocity_network
from offlow_sacflow.scratch.velocity import bounded


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_official_numbers_of_parameters():
    """For 17 observations and 6 actions; those of idle queries and keys are only in the official network."""
    expected = {"flow_t": 311_998, "flow_g": 342_688, "naive": 281_660}
    for kind, number in expected.items():
        config = CONFIGS[kind]()
        network = make_velocity_network(config, 17, 6, generator())
        params = to_flax(actor_table(config), to_arrays(network.state_dict())).params
        assert sum(array.size for array in params.values()) == number
        idle = 2 * 4 * (96 * 96 + 96) if kind == "flow_t" else 0
        assert sum(parameter.numel() for parameter in network.parameters()) == number - idle
    critic = CriticEnsemble(17, 6, NaiveConfig())
    assert sum(parameter.numel() for parameter in critic.parameters()) == 2_158_686
    assert len(to_flax(critic_table(NaiveConfig()), to_arrays(critic.state_dict())).params) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_networks_start_as_in_flax(kind):
    agent, again = make_agent(kind), make_agent(kind)
    for network in (agent.actor, agent.critic):
        linear = [layer for layer in network.modules() if hasattr(layer, "weight") and layer.weight.dim() >= 2]
        assert linear
        for layer in linear:
            is_gate = isinstance(agent.actor, FlowG) and layer is agent.actor.gate_and_candidate.layers[-1]
            assert not layer.bias[1 if is_gate else ...].any()
    for name, tensor in agent.state().items():
        assert torch.equal(tensor, again.state()[name]), name
        if name.endswith((".mean", ".steps")):
            assert not tensor.any()
        if name.endswith(".var") or (name.startswith(("actor/", "critic/")) and "norm" in name and "weight" in name):
            assert (tensor == 1).all()
    assert not torch.equal(make_agent(kind, seed=1).critic.layers[0].weight, agent.critic.layers[0].weight)


def test_the_gate_starts_nearly_open():
    agent, batch = make_agent("flow_g"), make_batch()
    x = torch.randn(ROWS, ACTIONS, generator=generator())
    hidden = torch.randn(2, ROWS, 8, generator=generator(1))
    outputs = agent.actor.gate_and_candidate.after_first(hidden)
    assert torch.sigmoid(outputs[0]).flatten().tolist() == pytest.approx([0.9933] * x.numel(), abs=1e-4)
    velocity, _ = agent.actor.field(batch["observations"])(x, 0)
    assert velocity.isfinite().all()


def attention(x: Tensor, memory: Tensor, parts: dict[str, nn.Linear], heads: int) -> Tensor:
    """Multi-head attention of one token [B, d] to one token [B, d], every step of it."""
    rows, width = x.shape
    split = (rows, 1, heads, width // heads)
    query = parts["query"](x).view(split)
    key, value = parts["key"](memory).view(split), parts["value"](memory).view(split)
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(width // heads)
    mixed = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value)
    return parts["output"](mixed.reshape(rows, width))


@pytest.mark.parametrize("heads", [1, 4])
def test_the_decoder_equals_one_with_whole_attention_and_nothing_shared_between_steps(heads):
    agent = unsettle(make_agent("flow_t"))
    network, x = agent.actor, torch.randn(ROWS, ACTIONS, generator=generator())
    observations = make_batch()["observations"]
    decoder = network.decoder
    torch.manual_seed(0)
    extra = {name: nn.Linear(8, 8) for name in ("query", "key")}
    field = network.field(observations)
    for step in range(3):
        memory = decoder.memory(network.observation_norm(observations))
        time = torch.full((ROWS, 1), step / 3)
        token = decoder.action(network.action_norms[step](x)) + decoder.time(time)
        for layer in decoder.layers:
            own, cross = ({"value": a.value, "output": a.output} for a in (layer.self_attention, layer.cross_attention))
            token = layer.norms[0](token + attention(token, token, extra | own, heads))
            token = layer.norms[1](token + attention(token, memory, extra | cross, heads))
            dense = layer.contract(functional.gelu(layer.expand(token), approximate="tanh"))
            token = layer.norms[2](token + dense)
        velocity, log_std = field(x, step)
        torch.testing.assert_close(velocity, network.mean_head(token))
        torch.testing.assert_close(log_std, -5 + 3.5 * (torch.tanh(network.log_std_head(token)) + 1))


def test_the_gated_field_equals_two_separate_networks():
    network, x = unsettle(make_agent("flow_g")).actor, torch.randn(ROWS, ACTIONS, generator=generator())
    observations = make_batch()["observations"]
    field = network.field(observations)
    first, second = network.gate_and_candidate.layers
    for step in range(3):
        embedded = network.time(time_features(torch.full((ROWS,), step / 3), 4))
        inputs = torch.cat([network.norm(torch.cat([observations, x], 1)), embedded], 1)
        gate, candidate = (
            functional.silu(inputs @ first.weight[i] + first.bias[i]) @ second.weight[i] + second.bias[i]
            for i in range(2)
        )
        velocity, log_std = field(x, step)
        torch.testing.assert_close(velocity, torch.sigmoid(gate) * (candidate - x))
        torch.testing.assert_close(log_std, -5 + 3.5 * (torch.tanh(network.log_std(observations)) + 1))


def test_the_naive_field_by_its_formula():
    network, x = unsettle(make_agent("naive")).actor, torch.randn(ROWS, ACTIONS, generator=generator())
    observations = make_batch()["observations"]
    for step in range(3):
        inputs = network.norm(torch.cat([observations, x, torch.full((ROWS, 1), step / 3)], 1))
        first, second = network.body.layers
        hidden = second(first(inputs).relu()).relu()
        velocity, log_std = network.field(observations)(x, step)
        torch.testing.assert_close(velocity, network.mean_head(hidden))
        torch.testing.assert_close(log_std, -5 + 3.5 * (torch.tanh(network.log_std_head(hidden)) + 1))


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-10, 0), st.floats(0.1, 5))
def test_scales_stay_within_their_bounds(raw, low, width):
    value = bounded(torch.tensor(raw, dtype=torch.float64), low, low + width).item()
    assert low <= value <= low + width
    assert bounded(torch.zeros(()), -5.0, 2.0) == -1.5


def test_members_of_the_critic_equal_separate_critics():
    critic, batch = unsettle(make_agent("naive")).critic, make_batch()
    together, in_train_mode = critic(batch["observations"], batch["actions"]), {}
    normalised = critic(batch["observations"], batch["actions"], in_train_mode)
    assert len(in_train_mode) == 3
    for i in range(2):
        single = CriticEnsemble(OBSERVATIONS, ACTIONS, make_config("naive", n_critics=1))
        single.load_state_dict({name: value[i : i + 1] for name, value in critic.state_dict().items()})
        torch.testing.assert_close(single(batch["observations"], batch["actions"])[0], together[i])
        torch.testing.assert_close(single(batch["observations"], batch["actions"], {})[0], normalised[i])


@pytest.mark.parametrize("kind", KINDS)
def test_steps_of_a_rollout_share_all_normalisations_but_those_of_the_flow_state(kind):
    agent, batch = make_agent(kind), make_batch()
    noise, statistics = agent.draw_noise(generator()).actor, {}
    agent.flow_policy.sample(batch["observations"], noise, statistics)
    found = {name: statistics[m].steps.item() for name, m in agent.actor.named_modules() if m in statistics}
    if kind != "flow_t":
        assert found == {"norm": 3}
        return
    once = {"observation_norm", "action_norms.0", "action_norms.1", "action_norms.2"}
    shared = {f"decoder.layers.{layer}.norms.{i}" for layer in range(2) for i in range(3)}
    assert found == dict.fromkeys(once, 1) | dict.fromkeys(shared, 3)
