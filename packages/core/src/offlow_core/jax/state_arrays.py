"""A state of nested containers as named host arrays, and back: what checkpoints hold."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from offlow_core.training.saved_arrays import check_arrays


def to_arrays(state: Any) -> dict[str, np.ndarray]:
    """Host copies of all leaves by path, such as "params/critic/value_net/Dense_0/kernel"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def from_arrays(like: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A state of the structure, shapes and types of `like` from named arrays; a mismatch is a ValueError naming it."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    expected = {name: (leaf.dtype, leaf.shape) for name, (_, leaf) in zip(names, leaves, strict=True)}
    check_arrays(arrays, expected)
    return jax.tree_util.tree_unflatten(structure, [jnp.asarray(arrays[name]) for name in names])


def all_finite(state: Any) -> jax.Array:
    """Whether every floating-point leaf is finite, a boolean scalar on the device."""
    leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()
