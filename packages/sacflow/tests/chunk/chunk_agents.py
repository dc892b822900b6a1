"""Small agents and batches for the tests of this folder."""

import numpy as np
import torch
from torch import Tensor

from offlow_core.data.transitions import Transitions
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device_data import to_device
from offlow_sacflow.chunk.acfql import Acfql
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.config import CHUNK_CONFIGS, ChunkConfig
from offlow_sacflow.chunk.naive import ChunkNaive
from offlow_sacflow.chunk.sac_flow import ChunkSacFlow

CPU = torch.device("cpu")
OBSERVATIONS, ACTIONS, HORIZON, ROWS = 4, 2, 3, 8
AGENTS = {"acfql": Acfql, "chunk_naive": ChunkNaive, "chunk_flow_t": ChunkSacFlow, "chunk_flow_g": ChunkSacFlow}
KINDS = tuple(AGENTS)
TWO_UPDATES = ("chunk_naive", "chunk_flow_t", "chunk_flow_g")
SAC = ("chunk_flow_t", "chunk_flow_g")
_SMALL = {"batch_size": ROWS, "horizon_length": HORIZON, "value_hidden_dims": (8, 8)}
_FLOW = {"actor_hidden_dims": (8, 8), "flow_steps": 2}
SIZES = {
    "acfql": {**_FLOW, "actor_num_samples": 4},
    "chunk_naive": {**_FLOW, "flow_one_step": 2},
    "chunk_flow_t": {"transformer_d_model": 8, "transformer_n_head": 2, "denoising_steps": 3},
    "chunk_flow_g": {"actor_hidden_dims": (8, 8), "gate_hidden": 8, "denoising_steps": 3},
}


def make_config(kind: str, **changes) -> ChunkConfig:
    return CHUNK_CONFIGS[kind](**_SMALL | SIZES[kind] | changes)


def make_agent(
    kind: str, seed: int = 0, device: torch.device = CPU, *, compiled: bool = False, **changes
) -> ChunkAgent:
    config = make_config(kind, **changes)
    return AGENTS[kind](config, OBSERVATIONS, ACTIONS, seed=seed, device=device, compiled=compiled)


def make_transitions(n: int = 40, seed: int = 0) -> Transitions:
    """Trajectories of 7 steps, every other of which truly ends."""
    rng = np.random.default_rng(seed)
    ends = np.arange(n) % 7 == 6
    return Transitions.from_arrays(
        observations=rng.normal(size=(n, OBSERVATIONS)).astype(np.float32),
        next_observations=rng.normal(size=(n, OBSERVATIONS)).astype(np.float32),
        actions=rng.uniform(-1, 1, (n, ACTIONS)),
        rewards=rng.normal(size=n),
        masks=1.0 - (ends & (np.arange(n) % 14 == 6)),
        terminals=ends,
    )


def make_batch(agent: ChunkAgent, seed: int = 0) -> dict[str, Tensor]:
    sampler = ChunkSampler(agent.config.horizon_length, agent.config.discount)
    generator = torch.Generator().manual_seed(seed)
    return sampler.sample(to_device(make_transitions(), CPU), generator, agent.config.batch_size)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def changed(agent: ChunkAgent, before: dict[str, Tensor]) -> set[str]:
    """First words of the names of what is no longer as it was."""
    after = agent.state()
    assert set(after) == set(before)
    return {name.split("/")[0] for name in before if not torch.equal(before[name], after[name])}
