"""From a configuration with chunks to its agent."""

from collections.abc import Callable

import torch

from offlow_core.option_checks import OptionError
from offlow_sacflow.chunk.acfql import Acfql
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.config import AcfqlConfig, ChunkConfig, ChunkFlowGConfig, ChunkFlowTConfig, ChunkNaiveConfig
from offlow_sacflow.chunk.naive import ChunkNaive
from offlow_sacflow.chunk.sac_flow import ChunkSacFlow

_AGENTS: dict[type[ChunkConfig], Callable[..., ChunkAgent]] = {
    AcfqlConfig: Acfql,
    ChunkNaiveConfig: ChunkNaive,
    ChunkFlowTConfig: ChunkSacFlow,
    ChunkFlowGConfig: ChunkSacFlow,
}


def make_chunk_agent(
    config: ChunkConfig,
    observation_shape: tuple[int, ...],
    action_dim: int,
    *,
    seed: int,
    device: torch.device,
    compiled: bool = False,
) -> ChunkAgent:
    """The agent of a configuration; OptionError where observations are images."""
    if len(observation_shape) != 1:
        raise OptionError(
            f"agents with chunks have no image encoder: they need observations that are state vectors, got "
            f"{'x'.join(map(str, observation_shape))}; choose the task's state variant"
        )
    make = _AGENTS[type(config)]
    return make(config, observation_shape[0], action_dim, seed=seed, device=device, compiled=compiled)
