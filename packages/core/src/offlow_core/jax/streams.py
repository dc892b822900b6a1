"""Named random streams without state: a draw is a function of (seed, stream name, step) and of nothing else.

Training therefore does not depend on how its steps are grouped into compiled calls, and needs no random state in its
checkpoints.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import Array
from offlow_core.random_streams import stream_number


def stream_key(seed: int, name: str) -> Array:
    """The key of one stream, such as "init" or "noise/offline"."""
    return jax.random.fold_in(jax.random.key(seed), stream_number(name))


def stream_keys(seeds: Sequence[int], name: str) -> Array:
    """One key per seed, [S]."""
    return jnp.stack([stream_key(seed, name) for seed in seeds])
