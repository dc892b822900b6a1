"""Noise schedules. Index 0 is the clean action, 1 to T are the diffusion steps."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Schedule = Literal["vp", "cosine", "linear"]


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """q(x_t | a) = N(sqrt(alpha_hats[t]) a, 1 - alpha_hats[t]); arrays [T + 1] float32."""

    alphas: np.ndarray
    alpha_hats: np.ndarray

    @property
    def steps(self) -> int:
        """T."""
        return len(self.alphas) - 1


def vp_betas(steps: int, b_min: float = 0.1, b_max: float = 10.0) -> np.ndarray:
    """Variance-preserving schedule (Xiao et al., 2022), [T]."""
    t = np.arange(1, steps + 1)
    return 1 - np.exp(-b_min / steps - 0.5 * (b_max - b_min) * (2 * t - 1) / steps**2)


def cosine_betas(steps: int, s: float = 0.008) -> np.ndarray:
    """Squared-cosine schedule (Nichol & Dhariwal, 2021), [T]."""
    signal = np.cos((np.arange(steps + 1) / steps + s) / (1 + s) * math.pi / 2) ** 2
    return np.clip(1 - signal[1:] / signal[:-1], 0, 0.999)


def linear_betas(steps: int, start: float = 1e-4, end: float = 2e-2) -> np.ndarray:
    """Evenly spaced variances (Ho et al., 2020), [T]."""
    return np.linspace(start, end, steps)


_BETAS = {"vp": vp_betas, "cosine": cosine_betas, "linear": linear_betas}


def make_schedule(name: Schedule, steps: int) -> NoiseSchedule:
    """The schedule of this name with T = `steps`."""
    alphas = 1 - np.concatenate([[0.0], _BETAS[name](steps)])
    return NoiseSchedule(alphas.astype(np.float32), np.cumprod(alphas).astype(np.float32))
