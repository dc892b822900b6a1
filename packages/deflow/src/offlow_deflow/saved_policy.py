"""Policies from checkpoints of runs."""

from collections.abc import Mapping

import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.jax.acting import ActionRule, saved_policy
from offlow_deflow.action_selection import SELECTIONS, action_rule
from offlow_deflow.agents import evaluated_policy, make_agent
from offlow_deflow.config import Options
from offlow_deflow.refined_agent import RefinedAgent


def load_policy(
    options: Options,
    observation_shape: tuple[int, ...],
    action_dim: int,
    arrays: Mapping[str, np.ndarray],
    name: str,
) -> Policy:
    """The `policy` that training evaluated, another way to select its actions, or the `behaviour_flow` it refines."""
    agent = make_agent(options.agent, observation_shape, action_dim)
    rules = {"policy": evaluated_policy(agent)}
    if isinstance(agent, RefinedAgent):
        rules |= {selection: action_rule(agent, selection) for selection in SELECTIONS}
    rules["behaviour_flow"] = ActionRule(agent.sample_behaviour, (action_dim,))
    return saved_policy(agent.init, rules, arrays, name)
