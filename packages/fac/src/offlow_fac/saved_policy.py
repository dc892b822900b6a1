"""Policies from checkpoints of FAC and FQL runs."""

from collections.abc import Mapping

import jax
import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.jax.acting import ActionRule, jitted_policy
from offlow_core.jax.state_arrays import from_arrays
from offlow_core.option_checks import OptionError
from offlow_core.training.saved_arrays import AGENT, part_of
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
    policies = {"policy": evaluated_policy(agent), "behaviour_flow": behaviour}
    if name not in policies:
        raise OptionError(f"unknown policy {name!r}; there are {', '.join(policies)}")
    state = from_arrays(jax.eval_shape(agent.init, jax.random.key(0)), part_of(arrays, AGENT))
    policy = jitted_policy(policies[name])
    return lambda observations, noise_seeds: np.asarray(policy(state, observations, noise_seeds))
