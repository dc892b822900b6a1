"""Policies for acting and evaluation: the official one draws all of its noise, two others leave some of it out."""

from collections.abc import Callable

import numpy as np
import torch

from offlow_core.evaluation import Policy
from offlow_core.evaluation.noise import normal_rows
from offlow_sacflow.rollout import RolloutNoise
from offlow_sacflow.scratch.policy import FlowPolicy


def sampling_policy(policy: FlowPolicy, steps: int) -> Policy:
    """Acts as in training, with noise at the start and at each of so many steps."""
    return _policy(policy, steps, lambda noise: noise)


def noiseless_policy(policy: FlowPolicy, steps: int) -> Policy:
    """Draws where a rollout starts, then follows the velocity alone."""
    return _policy(policy, steps, lambda noise: noise._replace(steps=torch.zeros_like(noise.steps)))


def deterministic_policy(policy: FlowPolicy, steps: int) -> Policy:
    """Follows the velocity from the middle of the starts: one action per observation."""
    return _policy(policy, steps, lambda noise: RolloutNoise(*(torch.zeros_like(part) for part in noise)))


def _policy(policy: FlowPolicy, steps: int, kept: Callable[[RolloutNoise], RolloutNoise]) -> Policy:
    scale = policy.action_range.scale

    @torch.no_grad()
    def act(observations: np.ndarray, noise_seeds: np.ndarray) -> np.ndarray:
        states = torch.from_numpy(np.ascontiguousarray(observations, np.float32)).to(scale.device)
        draws = normal_rows(noise_seeds, (steps + 1, len(scale)))
        noise = RolloutNoise.of(torch.from_numpy(draws).to(scale.device).transpose(0, 1))
        return policy.sample(states, kept(noise)).actions.cpu().numpy()

    return act
