"""Small agents, batches and noise for the tests of this folder."""

import numpy as np
import torch
from torch import Tensor

from offlow_core.testing.toy_task import random_batch
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.config import CONFIGS, ScratchConfig
from offlow_sacflow.scratch.noise import UpdateNoise
from offlow_sacflow.scratch.policy import ActionRange

CPU = torch.device("cpu")
OBSERVATIONS, ACTIONS, ROWS = 5, 2, 8
SIZES = {
    "flow_t": {"d_model": 8, "n_head": 2, "n_layers": 2},
    "flow_g": {"gate_hidden": 8, "time_emb_dim": 4, "logstd_hidden": 8},
    "naive": {"actor_hidden": 8},
}
KINDS = tuple(SIZES)


def make_config(kind: str, **changes) -> ScratchConfig:
    return CONFIGS[kind](**SIZES[kind] | {"batch_size": ROWS, "q_hidden": 8, "denoising_steps": 3} | changes)


def make_range(device: torch.device = CPU) -> ActionRange:
    """A symmetric range and one that is not."""
    return ActionRange.between(np.array([-1.0, -0.5]), np.array([1.0, 1.5]), device)


def make_agent(kind: str, seed: int = 0, device: torch.device = CPU, *, compiled: bool = False, **changes) -> SacFlow:
    config = make_config(kind, **changes)
    return SacFlow(config, OBSERVATIONS, make_range(device), seed=seed, device=device, compiled=compiled)


def make_batch(rows: int = ROWS, seed: int = 0) -> dict[str, Tensor]:
    batch = random_batch(rows, OBSERVATIONS, ACTIONS, seed)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def make_noise(agent: SacFlow, seed: int = 0) -> UpdateNoise:
    return agent.draw_noise(torch.Generator().manual_seed(seed))


@torch.no_grad()
def unsettle(agent: SacFlow, steps: int = 0, seed: int = 0) -> SacFlow:
    """The agent with numbers at random where it starts with 0 or 1, and layers that have been called so often."""
    generator = torch.Generator().manual_seed(seed)
    for network in (agent.actor, agent.critic):
        for name, tensor in network.state_dict().items():
            kind = name.rsplit(".", 1)[-1]
            if kind == "steps":
                tensor.fill_(steps)
            elif kind == "bias" or (kind == "weight" and tensor.dim() == 1) or kind in ("mean", "var"):
                tensor.add_(0.5 * torch.rand(tensor.shape, generator=generator))
    return agent
