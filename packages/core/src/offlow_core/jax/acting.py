"""Policies as pure functions of state, observations and noise."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from offlow_core.jax.networks import Array


class ActionRule(NamedTuple):
    """`act(state, observations [n, ...], z [n, *noise_shape])` -> actions [n, A], z being standard normal."""

    act: Callable[[Any, Array, Array], Array]
    noise_shape: tuple[int, ...]


def jitted_policy(rule: ActionRule) -> Callable:
    """The rule as (state, observations, noise_seeds) -> actions: row i's noise comes from noise_seeds[i] alone."""

    def policy(state: Any, observations: Array, noise_seeds: Array) -> Array:
        keys = jax.random.wrap_key_data(noise_seeds)
        return rule.act(state, observations, jax.vmap(lambda key: jax.random.normal(key, rule.noise_shape))(keys))

    return jax.jit(policy)
