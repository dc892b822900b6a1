"""Noise schedules of the diffusion, and the coefficients that its steps need."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

ScheduleName = Literal["vp", "linear", "cosine"]


def vp_betas(steps: int, b_min: float = 0.1, b_max: float = 10.0) -> np.ndarray:
    """Variance-preserving schedule (Xiao et al., 2022), [steps] float64."""
    i = np.arange(1, steps + 1)
    return 1 - np.exp(-b_min / steps - 0.5 * (b_max - b_min) * (2 * i - 1) / steps**2)


def linear_betas(steps: int, start: float = 1e-4, end: float = 2e-2) -> np.ndarray:
    """Evenly spaced variances (Ho et al., 2020), [steps] float64."""
    return np.linspace(start, end, steps)


def cosine_betas(steps: int, s: float = 0.008) -> np.ndarray:
    """Squared-cosine schedule (Nichol & Dhariwal, 2021), [steps] float64.

    The grid is the official one: steps + 1 points from 0 to steps + 1 inclusive, so that it is stretched a little.
    """
    n = steps + 1
    x = np.linspace(0, n, n)
    signal = np.cos((x / n + s) / (1 + s) * math.pi / 2) ** 2
    signal = signal / signal[0]
    return np.clip(1 - signal[1:] / signal[:-1], 0, 0.999)


_BETAS: dict[ScheduleName, Callable[[int], np.ndarray]] = {
    "vp": vp_betas,
    "linear": linear_betas,
    "cosine": cosine_betas,
}
SCHEDULES = tuple(_BETAS)


@dataclass(frozen=True)
class NoiseSchedule:
    """Coefficients [T] float32 of the forward and reverse process; index 0 is the least noisy step.

    Ho et al. (2020): q(x_t | a) = N(sqrt(alphas_cumprod_t) a, 1 - alphas_cumprod_t), and the posterior
    q(x_{t-1} | x_t, a) = N(mean_of_action_t a + mean_of_x_t x_t, posterior_variance_t).
    """

    betas: Tensor
    alphas_cumprod: Tensor
    sqrt_alphas_cumprod: Tensor
    sqrt_one_minus_alphas_cumprod: Tensor
    sqrt_recip_alphas_cumprod: Tensor
    """A predicted noise e means the action sqrt_recip_alphas_cumprod x_t - sqrt_recipm1_alphas_cumprod e."""
    sqrt_recipm1_alphas_cumprod: Tensor
    posterior_mean_of_action: Tensor
    posterior_mean_of_x: Tensor
    posterior_variance: Tensor
    posterior_std: Tensor
    """exp(log(max(variance, 1e-20)) / 2); what multiplies the noise of a step."""

    def __len__(self) -> int:
        return len(self.betas)


def make_schedule(name: ScheduleName, steps: int) -> NoiseSchedule:
    """The schedule of this name; float32 from the variances on, in the official order of operations."""
    betas = torch.tensor(_BETAS[name](steps), dtype=torch.float32)
    alphas = 1 - betas
    cumprod = torch.cumprod(alphas, 0)
    before = torch.cat([torch.ones(1), cumprod[:-1]])
    variance = betas * (1 - before) / (1 - cumprod)
    return NoiseSchedule(
        betas=betas,
        alphas_cumprod=cumprod,
        sqrt_alphas_cumprod=torch.sqrt(cumprod),
        sqrt_one_minus_alphas_cumprod=torch.sqrt(1 - cumprod),
        sqrt_recip_alphas_cumprod=torch.sqrt(1 / cumprod),
        sqrt_recipm1_alphas_cumprod=torch.sqrt(1 / cumprod - 1),
        posterior_mean_of_action=betas * torch.sqrt(before) / (1 - cumprod),
        posterior_mean_of_x=(1 - before) * torch.sqrt(alphas) / (1 - cumprod),
        posterior_variance=variance,
        posterior_std=torch.exp(0.5 * torch.log(torch.clamp(variance, min=1e-20))),
    )
