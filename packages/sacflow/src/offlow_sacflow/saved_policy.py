"""Policies from checkpoints of runs."""

from collections.abc import Mapping

import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.option_checks import OptionError
from offlow_core.suites import resolve
from offlow_core.torch.device import find_device
from offlow_core.torch.state_arrays import load_arrays
from offlow_core.training.saved_arrays import AGENT, part_of
from offlow_sacflow.options import ChunkOptions, ScratchOptions
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.task_agent import agent_of


def load_policy(
    options: ScratchOptions | ChunkOptions,
    observation_shape: tuple[int, ...],
    action_dim: int,
    arrays: Mapping[str, np.ndarray],
    name: str,
) -> Policy:
    """The `policy` that training evaluates; from scratch also `noiseless` and `deterministic`, with less noise."""
    agent = agent_of(options, resolve(options.env_name, options.suite), find_device(options.device))
    policies = {"policy": agent.policy}
    if isinstance(agent, SacFlow):
        policies |= {"noiseless": agent.noiseless_policy, "deterministic": agent.deterministic_policy}
    if name not in policies:
        raise OptionError(f"unknown policy {name!r}; there are {', '.join(policies)}")
    load_arrays(agent.state(), part_of(arrays, AGENT))
    return policies[name]()
