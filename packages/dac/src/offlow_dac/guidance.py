"""How critics guide the actor: the gradient of Q at noisy actions, and the value of denoised ones."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import Array
from offlow_dac.networks import Critic

EPSILON = 1e-6


def action_gradient(critic: Critic, actions: Array) -> Array:
    """Gradient [B, A] of the members' mean value at actions [B, A]; rows do not influence one another."""
    return jax.grad(lambda x: critic.values(x).mean(0).sum())(actions)


def guided(
    noise: Callable[[Array, Array], Array], critic: Critic, eta: Array, alpha_hats: Array
) -> Callable[[Array, Array], Array]:
    """A noise function that is steered uphill: e - sqrt(1 - alpha_hat_t) grad Q / eta (`ddpm_qg`)."""

    def steered(x: Array, t: Array) -> Array:
        return noise(x, t) - jnp.sqrt(1 - alpha_hats[t]) / (eta + EPSILON) * action_gradient(critic, x)

    return steered
