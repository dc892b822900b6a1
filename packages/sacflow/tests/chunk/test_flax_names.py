"""Official parameters of whole agents: what does not fit is named."""

import numpy as np
import pytest
from chunk_agents import KINDS, make_agent

from offlow_sacflow.chunk.flax_names import load_official, official_params
from offlow_sacflow.flax_parameters import FlaxParametersError


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_becomes_another_by_its_official_parameters(kind):
    agent, other = make_agent(kind), make_agent(kind, seed=1)
    load_official(other, official_params(agent))
    mine, theirs = agent.state(), other.state()
    different = [name for name in mine if not mine[name].equal(theirs[name])]
    assert different == []


def test_queries_and_keys_are_read_and_come_back_as_zeros():
    agent = make_agent("chunk_flow_t")
    params = official_params(agent)
    idle = {name: array for name, array in params.items() if "q_proj" in name or "k_proj" in name}
    assert len(idle) == 2 * 2 * 2 * 2  # layers, attentions, projections, kernel and bias
    load_official(agent, params | {name: np.full_like(array, 0.5) for name, array in idle.items()})
    found = official_params(agent)
    assert not any(found[name].any() for name in idle)
    name = next(iter(idle))
    with pytest.raises(FlaxParametersError, match=f"{name} must have shape"):
        load_official(agent, params | {name: np.zeros((2, 2), np.float32)})


@pytest.mark.parametrize(
    ("kind", "other", "message"),
    [
        ("acfql", "chunk_flow_t", "not those of the agent acfql: .* unknown .*alpha/log_ent_coef"),
        ("chunk_flow_g", "acfql", "not those of the agent chunk_flow_g"),
        ("chunk_naive", "chunk_flow_g", "unknown .*alpha/log_ent_coef"),
    ],
)
def test_parameters_of_another_agent_are_refused(kind, other, message):
    with pytest.raises(FlaxParametersError, match=message):
        load_official(make_agent(kind), official_params(make_agent(other)))


def test_missing_leaves_are_named():
    agent = make_agent("chunk_flow_g")
    params = official_params(agent)
    del params["params/modules_critic/value_net/Dense_1/bias"]
    with pytest.raises(FlaxParametersError, match=r"missing .*value_net/Dense_1/bias"):
        load_official(agent, params)
    params = official_params(agent)
    del params["params/alpha/log_ent_coef"]
    with pytest.raises(FlaxParametersError, match=r"expected .*alpha/log_ent_coef"):
        load_official(agent, params)
