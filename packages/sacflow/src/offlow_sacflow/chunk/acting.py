"""Policies for acting and evaluation: one call decides on a whole chunk."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from offlow_core.evaluation import Policy
from offlow_core.evaluation.noise import normal_rows


def chunk_policy(
    act: Callable[[Tensor, Tensor], Tensor],
    noise_shape: tuple[int, ...],
    action_shape: tuple[int, ...],
    device: torch.device,
) -> Policy:
    """The policy of `act(observations [B, S], draws [B, *noise_shape])`, whose flat actions get this shape."""

    @torch.no_grad()
    def policy(observations: np.ndarray, noise_seeds: np.ndarray) -> np.ndarray:
        states = torch.from_numpy(np.ascontiguousarray(observations, np.float32)).to(device)
        draws = torch.from_numpy(normal_rows(noise_seeds, noise_shape)).to(device)
        return act(states, draws).unflatten(1, action_shape).cpu().numpy()

    return policy
