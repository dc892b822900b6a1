"""Policies for evaluation: candidates from the policy network, one of them picked."""

import numpy as np
import torch
from torch import Tensor

from offlow_core.evaluation import Policy
from offlow_core.evaluation.noise import normal_rows, uniform_rows
from offlow_diffusion_ql.generative_policy import ChainNoise, GenerativePolicy
from offlow_diffusion_ql.losses import select_candidates
from offlow_diffusion_ql.networks import PolicyNetwork, TwinCritic


def single_sample_policy(family: GenerativePolicy, network: PolicyNetwork) -> Policy:
    """Acts with one draw from the policy."""

    def act(observations: np.ndarray, noise_seeds: np.ndarray) -> np.ndarray:
        _, actions = sample_candidates(family, network, observations, noise_seeds, 1)
        return actions[:, 0].cpu().numpy()

    return act


def selecting_policy(family: GenerativePolicy, network: PolicyNetwork, critic: TwinCritic, candidates: int) -> Policy:
    """Acts with one of several draws, which the critics' lesser value picks by its softmax."""

    @torch.no_grad()
    def act(observations: np.ndarray, noise_seeds: np.ndarray) -> np.ndarray:
        states, actions = sample_candidates(family, network, observations, noise_seeds, candidates)
        uniform = torch.from_numpy(uniform_rows(noise_seeds)).to(states.device)
        chosen = select_candidates(critic(states, actions), uniform)
        return actions[torch.arange(len(actions), device=actions.device), chosen].cpu().numpy()

    return act


@torch.no_grad()
def sample_candidates(
    family: GenerativePolicy, network: PolicyNetwork, observations: np.ndarray, noise_seeds: np.ndarray, n: int
) -> tuple[Tensor, Tensor]:
    """Observations [B, S] and n actions for each [B, n, A], on the network's device."""
    device = next(network.parameters()).device
    states = torch.from_numpy(np.ascontiguousarray(observations, np.float32)).to(device)
    draws = normal_rows(noise_seeds, (family.chain_draws, n, network.action_dim))
    noise = ChainNoise.of(torch.from_numpy(draws).to(device).transpose(0, 1))
    return states, family.sample(network, network.of_states(states)[:, None], noise)
