"""Policies from checkpoints of runs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.jax.acting import saved_policy
from offlow_dac.action_selection import selecting
from offlow_dac.agents import make_agent
from offlow_dac.options import DacOptions


def load_policy(
    options: DacOptions,
    observation_shape: tuple[int, ...],
    action_dim: int,
    arrays: Mapping[str, np.ndarray],
    name: str,
) -> Policy:
    """The `policy` that training evaluates, or `single_sample`: one draw, whatever the critics say."""
    agent = make_agent(options.agent, observation_shape, action_dim)
    one = replace(agent, config=replace(agent.config, num_action_samples=1))
    return saved_policy(agent.init, {"policy": selecting(agent), "single_sample": selecting(one)}, arrays, name)
