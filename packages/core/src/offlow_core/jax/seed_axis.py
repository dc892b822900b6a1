"""Independent seeds as a leading axis: one program trains them all, each equal to a run of its own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def over_seeds(function: Callable, num_seeds: int, *, shared: int) -> Callable:
    """`function(*per_seed, *shared)` over per-seed arguments with a leading axis [S].

    The last `shared` arguments are the same for all seeds. One seed is not vectorised (a batch axis of one costs time
    on a CPU); it only loses and regains its axis.
    """

    def single(*args: Any) -> Any:
        per_seed = args[: len(args) - shared]
        result = function(*jax.tree.map(lambda x: x[0], per_seed), *args[len(per_seed) :])
        return jax.tree.map(lambda x: x[None], result)

    def vectorised(*args: Any) -> Any:
        axes = [0] * (len(args) - shared) + [None] * shared
        return jax.vmap(function, in_axes=axes)(*args)

    return single if num_seeds == 1 else vectorised


def stack_seeds(states: list[Any]) -> Any:
    """One state with a leading axis [S] from S states."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def one_seed(state: Any, index: int) -> Any:
    """The state of one seed, without the axis."""
    return jax.tree.map(lambda leaf: leaf[index], state)
