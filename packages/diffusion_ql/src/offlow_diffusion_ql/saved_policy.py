"""Policies from checkpoints of runs."""

from collections.abc import Mapping

import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.option_checks import OptionError
from offlow_core.torch.device import find_device
from offlow_core.torch.state_arrays import load_arrays
from offlow_core.training.saved_arrays import AGENT, part_of
from offlow_diffusion_ql.config import DiffusionQlOptions
from offlow_diffusion_ql.learner import make_agent


def load_policy(
    options: DiffusionQlOptions,
    observation_shape: tuple[int, ...],
    action_dim: int,
    arrays: Mapping[str, np.ndarray],
    name: str,
) -> Policy:
    """The `policy` that training evaluates, or `single_sample`: one draw, whatever the critics say."""
    names = ("policy", "single_sample")
    if name not in names:
        raise OptionError(f"unknown policy {name!r}; there are {', '.join(names)}")
    agent = make_agent(options.agent, observation_shape, action_dim, seed=0, device=find_device(options.device))
    load_arrays(agent.state(), part_of(arrays, AGENT))
    return agent.policy() if name == "policy" else agent.sampling_policy()
