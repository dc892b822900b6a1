"""Networks by hand, their sizes, and how they start."""

import math

import pytest
import torch
from chunk_agents import ACTIONS, AGENTS, CPU, HORIZON, OBSERVATIONS, ROWS, generator, make_agent, make_config

from offlow_core.torch.networks import Mlp
from offlow_core.torch.time_features import time_features
from offlow_sacflow.chunk.config import CHUNK_CONFIGS
from offlow_sacflow.chunk.flax_names import official_params
from offlow_sacflow.chunk.networks import (
    ChunkCritic,
    GatedField,
    MlpField,
    TokenField,
    gelu,
    imitating_flow,
)
from offlow_sacflow.chunk.sampling import follow
from offlow_sacflow.rollout import step_times

FLAT = HORIZON * ACTIONS


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("acfql", {}, 4_993_590),
        ("acfql", {"horizon_length": 1}, 4_911_630),
        ("chunk_flow_t", {"autotune_alpha": False}, 3_875_293),
        ("chunk_flow_g", {"autotune_alpha": False}, 4_181_046),
    ],
)
def test_the_official_numbers_of_parameters_on_a_cube_task(kind, options, expected):
    agent = AGENTS[kind](CHUNK_CONFIGS[kind](**options), 46, 5, seed=0, device=CPU)
    assert sum(array.size for array in official_params(agent).values()) == expected


def started(network):
    network.init(generator())
    return network


def inputs(rows: int = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, OBSERVATIONS, generator=generator(1)), torch.randn(rows, FLAT, generator=generator(2))


def test_the_activation_is_the_approximation_by_tanh():
    x = torch.tensor([0.5, 2.0])
    expected = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    torch.testing.assert_close(gelu(x), expected)


def test_only_the_imitating_flow_sees_features_of_the_time():
    agent = make_agent("chunk_naive", use_fourier_features=True, fourier_feature_dim=6)
    widths = [network.mlp.layers[0].in_features for network in (agent.flow, agent.actor)]
    assert widths == [OBSERVATIONS + FLAT + 6, OBSERVATIONS + FLAT + 1]


@pytest.mark.parametrize("options", [{}, {"use_fourier_features": True, "fourier_feature_dim": 4}])
def test_a_field_is_a_perceptron_on_state_position_and_time(options):
    field = started(imitating_flow(make_config("acfql", **options), OBSERVATIONS, FLAT))
    observations, x = inputs()
    t = torch.rand(ROWS, 1, generator=generator())
    features = time_features(t.squeeze(-1), 4, cosines_first=True) if options else t
    expected = field.mlp(torch.cat([observations, x, features], 1))
    assert torch.equal(field(x, 0, field.context(observations, t[None])), expected)


def test_the_gate_lets_a_part_of_the_way_to_the_candidate_through():
    field = started(GatedField(make_config("chunk_flow_g"), OBSERVATIONS, FLAT))
    observations, x = inputs()
    context = field.context(observations, torch.full((1, 1), 0.25))
    joined = torch.cat([observations, x, torch.full((ROWS, 1), 0.25)], 1)
    opened = 1 / (1 + math.exp(-5))
    torch.testing.assert_close(field(x, 0, context), opened * (field.mlp(joined) - x))
    with torch.no_grad():
        field.gate.layers[1].weight.normal_(generator=generator())
    torch.testing.assert_close(field(x, 0, context), torch.sigmoid(field.gate(joined)) * (field.mlp(joined) - x))


def attention(query: torch.Tensor, weights: torch.nn.MultiheadAttention, memory: torch.Tensor) -> torch.Tensor:
    return weights(query[:, None], memory[:, None], memory[:, None], need_weights=False)[0][:, 0]


@torch.no_grad()
def test_the_transformer_equals_one_with_queries_and_keys():
    field = started(TokenField(make_config("chunk_flow_t"), OBSERVATIONS, FLAT))
    decoder = field.decoder
    observations, x = inputs()
    t = torch.rand(ROWS, 1, generator=generator())
    memory, token = decoder.memory(observations), decoder.action(x) + decoder.time(t)
    for layer in decoder.layers:
        for part, norm, source in (("self", 0, None), ("cross", 1, memory)):
            own = getattr(layer, f"{part}_attention")
            full = torch.nn.MultiheadAttention(8, 2, batch_first=True)  # its queries and keys are random
            full.in_proj_weight[16:].copy_(own.value.weight)
            full.in_proj_bias[16:].copy_(own.value.bias)
            full.out_proj.load_state_dict(own.output.state_dict())
            token = layer.norms[norm](token + attention(token, full, token if source is None else source))
        token = layer.norms[2](token + layer.contract(gelu(layer.expand(token))))
    found = field(x, 0, field.context(observations, t[None]))
    torch.testing.assert_close(found, field.velocity(token), rtol=1e-5, atol=1e-5)
    assert {norm.eps for layer in decoder.layers for norm in layer.norms} == {1e-6}


@pytest.mark.parametrize("kind", ["chunk_flow_t", "chunk_flow_g"])
def test_times_shared_by_all_rows_equal_each_rows_own(kind):
    field = make_agent(kind).field
    observations, x = inputs()
    shared = field.context(observations, step_times(4, x))
    own = field.context(observations, torch.full((1, ROWS, 1), 0.75))
    torch.testing.assert_close(field(x, 3, shared), field(x, 0, own))


def test_critics_take_candidates_beside_each_other():
    critic = started(ChunkCritic(make_config("acfql", num_qs=3), OBSERVATIONS, FLAT))
    observations, _ = inputs()
    actions = torch.randn(ROWS, 5, FLAT, generator=generator())
    found = critic(observations[:, None].expand(-1, 5, -1), actions)
    assert found.shape == (3, ROWS, 5)
    torch.testing.assert_close(found[:, :, 2], critic(observations, actions[:, 2]))


def test_layers_are_normalised_as_configured():
    for layer_norm, actor_layer_norm in ((True, False), (False, True)):
        agent = make_agent("acfql", layer_norm=layer_norm, actor_layer_norm=actor_layer_norm)
        networks = agent.critics.trained.values, agent.flow.mlp, agent.actor.mlp
        counts = [len(network.norms) for network in networks]
        assert counts == [2 * layer_norm, 2 * actor_layer_norm, 2 * actor_layer_norm]


def test_a_field_that_is_constant_leads_straight_on():
    field = started(MlpField(make_config("chunk_naive"), OBSERVATIONS, FLAT))
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.zero_()
        field.mlp.layers[-1].bias.fill_(2.0)
    observations, x = inputs()
    torch.testing.assert_close(follow(field, observations, x, 5), x + 2.0)


def test_initial_weights():
    naive, gated, tokens = (make_agent(kind) for kind in ("chunk_naive", "chunk_flow_g", "chunk_flow_t"))
    for mlp in (naive.flow.mlp, naive.actor.mlp, gated.field.mlp, naive.critics.trained.values):
        assert_xavier(mlp)
    first, last = gated.field.gate.layers
    assert first.weight.std().item() == pytest.approx(1 / math.sqrt(first.in_features), rel=0.2)
    assert first.weight.abs().max() > math.sqrt(6 / (first.in_features + first.out_features)) * 0.99  # not Xavier
    assert (last.weight == 0).all()
    assert (last.bias == 5).all()
    assert tokens.field.decoder.layers[0].expand.weight.std().item() == pytest.approx(1 / math.sqrt(8), rel=0.1)
    for ours, theirs in zip(naive.critics.trained.parameters(), naive.critics.target.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    again, other = make_agent("chunk_flow_g"), make_agent("chunk_flow_g", seed=1)
    assert torch.equal(gated.field.mlp.layers[0].weight, again.field.mlp.layers[0].weight)
    assert (gated.field.mlp.layers[0].weight != other.field.mlp.layers[0].weight).all()


def assert_xavier(mlp: Mlp) -> None:
    for layer in mlp.layers:
        shape = layer.weight.shape[-2:]
        bound = math.sqrt(6 / sum(shape))
        assert 0.8 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()
