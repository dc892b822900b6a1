"""The agent of a task's environment, to be filled with what was saved or imported."""

import torch

from offlow_core.option_checks import OptionError
from offlow_core.suites.task import Task
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.agents import make_chunk_agent
from offlow_sacflow.options import ChunkOptions, ScratchOptions
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.policy import ActionRange


def agent_of(options: ScratchOptions | ChunkOptions, task: Task, device: torch.device) -> SacFlow | ChunkAgent:
    """An agent of the environment's sizes; OptionError where there is no environment to tell them."""
    if task.make_environment is None:
        raise OptionError(f"{task.name} has no environment, which tells the sizes of the networks")
    observations, actions = task.spaces()
    if isinstance(options, ScratchOptions):
        bounds = ActionRange.of(actions, device)
        return SacFlow(options.agent, observations.shape[0], bounds, seed=options.seed, device=device)
    return make_chunk_agent(options.agent, observations.shape, actions.shape[0], seed=options.seed, device=device)
