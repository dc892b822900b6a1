"""Which transitions make up the batches number 1, 2, ... of a phase, inside a compiled program.

A batch is a function of (key, number), however the numbers are grouped into calls: what is carried from batch to batch
only saves computing it again.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from offlow_core.jax.device_data import DeviceTransitions
from offlow_core.jax.networks import Array


class BatchOrder(Protocol):
    """One way to choose."""

    def begin(self, data: DeviceTransitions, key: Array, number: Array, batch_size: int) -> Any:
        """What is carried, if `number` is that of the next batch."""
        ...

    def draw(
        self, carried: Any, data: DeviceTransitions, key: Array, number: Array, batch_size: int
    ) -> tuple[Any, Array, dict[str, Array]]:
        """What is carried on, the transitions [B] of the batch, and entries [B] that it gets beside theirs."""
        ...


def index_key(key: Array, number: Array) -> Array:
    """The key of a batch's choice; the other half of the split is for what is done to the batch."""
    return jax.random.split(jax.random.fold_in(key, number))[0]


class Uniform:
    """Independent draws with replacement."""

    def begin(self, data: DeviceTransitions, key: Array, number: Array, batch_size: int) -> tuple[()]:
        return ()

    def draw(
        self, carried: tuple[()], data: DeviceTransitions, key: Array, number: Array, batch_size: int
    ) -> tuple[tuple[()], Array, dict[str, Array]]:
        return (), jax.random.randint(index_key(key, number), (batch_size,), 0, data.size), {}


class Distinct:
    """Draws without replacement inside a batch."""

    def begin(self, data: DeviceTransitions, key: Array, number: Array, batch_size: int) -> tuple[()]:
        return ()

    def draw(
        self, carried: tuple[()], data: DeviceTransitions, key: Array, number: Array, batch_size: int
    ) -> tuple[tuple[()], Array, dict[str, Array]]:
        rows = len(data.rows)
        if rows < 8 * batch_size:
            return (), jax.random.permutation(index_key(key, number), rows)[:batch_size], {}
        # The first B different ones of 2 B draws: among so many rows, fewer than B never are different.
        draws = jax.random.randint(index_key(key, number), (2 * batch_size,), 0, rows)
        order = jnp.argsort(draws, stable=True)
        repeated = jnp.concatenate([jnp.zeros(1, bool), jnp.diff(draws[order]) == 0])
        first = jnp.zeros(2 * batch_size, bool).at[order].set(~repeated)
        return (), draws[jnp.flatnonzero(first, size=batch_size)], {}


class Passes:
    """Passes over a fixed dataset in random order. The last batch of a pass has rows of weight 0 in the place of more.

    Batches get an entry `weights`, 1 or 0.
    """

    def begin(self, data: DeviceTransitions, key: Array, number: Array, batch_size: int) -> Array:
        return self._order(data, key, (number - 1) // self._per_pass(data, batch_size))

    def draw(
        self, carried: Array, data: DeviceTransitions, key: Array, number: Array, batch_size: int
    ) -> tuple[Array, Array, dict[str, Array]]:
        per_pass, rows = self._per_pass(data, batch_size), len(data.rows)
        number_of_pass, position = (number - 1) // per_pass, (number - 1) % per_pass
        order = jax.lax.cond(position == 0, lambda: self._order(data, key, number_of_pass), lambda: carried)
        places = position * batch_size + jnp.arange(batch_size)
        weights = (places < rows).astype(jnp.float32)
        return order, order[jnp.minimum(places, rows - 1)], {"weights": weights}

    def _per_pass(self, data: DeviceTransitions, batch_size: int) -> int:
        return -(-len(data.rows) // batch_size)

    def _order(self, data: DeviceTransitions, key: Array, number_of_pass: Array) -> Array:
        return jax.random.permutation(jax.random.fold_in(key, number_of_pass), len(data.rows))
