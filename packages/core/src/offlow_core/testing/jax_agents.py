"""What tests of JAX agents share: compiled programs, networks that can be followed by hand, comparisons of trees."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from offlow_core.jax.networks import Array


def share_compiled_programs(folder: Path) -> None:
    """Keep programs in a folder, also those of child processes, and compile none that is there already.

    Most of the time of tests is compilation, much of it of programs that another learner has compiled. With
    JAX_COMPILATION_CACHE_DIR set they are kept there, for the next tests too.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    settings = {
        "jax_compilation_cache_dir": os.environ["JAX_COMPILATION_CACHE_DIR"],
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)


def column(*values: float) -> Array:
    """Numbers as a batch of one-dimensional vectors [n, 1]."""
    return jnp.array(values)[:, None]


def linear(*rows: list[float], bias: float = 0.0) -> dict:
    """A network that computes inputs @ rows + bias: GELU(u) - GELU(-u) = u makes its hidden layer linear."""
    kernel = jnp.array(rows)
    identity = jnp.eye(kernel.shape[1])
    return {
        "Dense_0": {"kernel": jnp.concatenate([kernel, -kernel], 1), "bias": jnp.zeros(2 * kernel.shape[1])},
        "Dense_1": {"kernel": jnp.concatenate([identity, -identity]), "bias": jnp.full(kernel.shape[1], bias)},
    }


def members(*networks: dict) -> dict:
    """A critic whose members are these networks."""
    return {"value_net": jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)}


def same(first: Any, second: Any) -> bool:
    """Whether two trees of one structure are equal, bit for bit."""
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)
