"""Policies from checkpoints of runs."""

from collections.abc import Mapping

import jax
import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.jax.acting import ActionRule, jitted_policy
from offlow_core.jax.joint_training import JointAgent
from offlow_core.jax.state_arrays import from_arrays
from offlow_core.option_checks import OptionError
from offlow_core.training.saved_arrays import AGENT, part_of
from offlow_deflow.action_selection import SELECTIONS, action_rule
from offlow_deflow.agents import Options, evaluated_policy, make_agent
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
    rules = _rules(agent)
    if name not in rules:
        raise OptionError(f"unknown policy {name!r}; there are {', '.join(rules)}")
    state = from_arrays(jax.eval_shape(agent.init, jax.random.key(0)), part_of(arrays, AGENT))
    policy = jitted_policy(rules[name])
    return lambda observations, noise_seeds: np.asarray(policy(state, observations, noise_seeds))


def _rules(agent: JointAgent) -> dict[str, ActionRule]:
    rules = {"policy": evaluated_policy(agent)}
    if isinstance(agent, RefinedAgent):
        rules |= {selection: action_rule(agent, selection) for selection in SELECTIONS}
    return rules | {"behaviour_flow": ActionRule(agent.sample_behaviour, (agent.action_dim,))}
