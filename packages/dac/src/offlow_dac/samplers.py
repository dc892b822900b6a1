"""Reverse diffusion: from noise to actions. All draws are arguments."""

from collections.abc import Callable
from itertools import pairwise

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import Array
from offlow_dac.schedules import NoiseSchedule

NoiseFunction = Callable[[Array, Array], Array]
"""e(x [B, A], t) [B, A] for a step t that all rows share."""


def ddpm(
    noise: NoiseFunction, schedule: NoiseSchedule, prior: Array, z: Array, *, clip: bool, temperature: float = 1.0
) -> Array:
    """Actions [B, A] from the prior [B, A] at t = T with draws z [T, B, A] in the order of the steps T, ..., 1.

    The noise of a step has standard deviation sqrt(1 - alpha_t), not that of the posterior; the last step has none, so
    that actions lie in [-1, 1] if predicted actions are clipped.
    """
    alphas, hats = jnp.asarray(schedule.alphas), jnp.asarray(schedule.alpha_hats)

    def step(x: Array, inputs: tuple[Array, Array]) -> tuple[Array, None]:
        t, draw = inputs
        action = _predicted_action(x, noise(x, t), hats[t])
        action = jnp.clip(action, -1, 1) if clip else action
        share = jnp.sqrt(hats[t - 1]) * (1 - alphas[t])
        x = (share * action + jnp.sqrt(alphas[t]) * (1 - hats[t - 1]) * x) / (1 - hats[t])
        return x + jnp.where(t > 1, temperature * jnp.sqrt(1 - alphas[t]), 0.0) * draw, None

    return jax.lax.scan(step, prior, (jnp.arange(schedule.steps, 0, -1), z))[0]


def ddim(
    noise: NoiseFunction, schedule: NoiseSchedule, prior: Array, *, clip: bool, steps: int, upstream: bool = False
) -> Array:
    """Deterministic actions [B, A] over the steps T, T - c, ..., 0 with c = T // `steps` (Song et al., 2021).

    `upstream` has 1 / sqrt(alpha_t) where the ratio of signal strengths belongs; the two agree for c = 1.
    """
    x, hats = prior, schedule.alpha_hats
    times = [*range(schedule.steps, 0, -(schedule.steps // steps)), 0]
    for t, after in pairwise(times):
        e = noise(x, jnp.asarray(t))
        ratio = 1 / schedule.alphas[t] if upstream else hats[after] / hats[t]
        x = jnp.sqrt(ratio) * (x - jnp.sqrt(1 - hats[t]) * e) + jnp.sqrt(1 - hats[after]) * e
        x = jnp.clip(x, -1, 1) if clip else x
    return x


def _predicted_action(x: Array, e: Array, alpha_hat: Array) -> Array:
    return (x - jnp.sqrt(1 - alpha_hat) * e) / jnp.sqrt(alpha_hat)
