"""Policies as pure functions of state, observations and noise."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from offlow_core.evaluation import Policy
from offlow_core.jax.networks import Array
from offlow_core.jax.state_arrays import from_arrays
from offlow_core.option_checks import OptionError
from offlow_core.training.saved_arrays import AGENT, part_of


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


def saved_policy(
    init: Callable[[Array], Any], rules: Mapping[str, ActionRule], arrays: Mapping[str, np.ndarray], name: str
) -> Policy:
    """The rule of this name with the state that a checkpoint holds; OptionError if there is no such rule."""
    if name not in rules:
        raise OptionError(f"unknown policy {name!r}; there are {', '.join(rules)}")
    state = from_arrays(jax.eval_shape(init, jax.random.key(0)), part_of(arrays, AGENT))
    policy = jitted_policy(rules[name])
    return lambda observations, noise_seeds: np.asarray(policy(state, observations, noise_seeds))
