"""Policies from checkpoints of FAC and FQL runs."""

from collections.abc import Mapping

import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.jax.acting import ActionRule, saved_policy
from offlow_fac.agents import evaluated_policy, make_agent
from offlow_fac.config import FacOptions, FqlOptions


def load_policy(
    options: FacOptions | FqlOptions,
    observation_shape: tuple[int, ...],
    action_dim: int,
    arrays: Mapping[str, np.ndarray],
    name: str,
) -> Policy:
    """The one-step `policy`, or the multi-step `behaviour_flow` that it was distilled from."""
    agent = make_agent(options.agent, observation_shape, action_dim)
    behaviour = ActionRule(agent.sample_behaviour, (action_dim,))
    return saved_policy(agent.init, {"policy": evaluated_policy(agent), "behaviour_flow": behaviour}, arrays, name)
