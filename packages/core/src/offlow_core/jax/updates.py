"""Blocks of updates as one compiled program: Python is entered once per block, not once per update."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from offlow_core.jax.batch_orders import BatchOrder, Uniform
from offlow_core.jax.device_data import Batch, DeviceTransitions, Sampler
from offlow_core.jax.networks import Array
from offlow_core.jax.seed_axis import over_seeds

UNIFORM = Uniform()
Metrics = dict[str, Array]
Report = Callable[[], Metrics]
Update = Callable[[Any, Batch, Array], tuple[Any, Report]]
"""(state, batch, key) -> (new state, report). The report is called inside the same program, only where it is logged."""


def build_block(
    update: Update, sampler: Sampler, batch_size: int, num_seeds: int, order: BatchOrder = UNIFORM
) -> Callable:
    """Compile `block(state, columns, data_key, noise_key, data, start, steps) -> (state, metrics)`.

    Runs updates number start + 1 to start + steps; the metrics are the last one's. `state`, `columns` (further values
    per transition) and the keys have a leading axis of seeds; the state is donated. The number of steps is an ordinary
    argument: blocks of any length share one program.
    """

    def block(
        state: Any,
        columns: dict[str, Array],
        data_key: Array,
        noise_key: Array,
        data: DeviceTransitions,
        start: Array,
        steps: Array,
    ) -> tuple[Any, Metrics]:
        def step(i: Array, carry: tuple[Any, Any, Metrics]) -> tuple[Any, Any, Metrics]:
            state, carried, _ = carry
            number = start + i + 1
            carried, indices, entries = order.draw(carried, data, data_key, number, batch_size)
            batch = sampler.batch(data, indices, jax.random.fold_in(data_key, number), columns) | entries
            state, report = update(state, batch, jax.random.fold_in(noise_key, number))
            return state, carried, report_if(i == steps - 1, report)

        carried = order.begin(data, data_key, start + 1, batch_size)
        state, _, metrics = jax.lax.fori_loop(0, steps, step, (state, carried, _no_metrics(step, state, carried)))
        return state, metrics

    return jax.jit(over_seeds(block, num_seeds, shared=3), donate_argnums=0)


def report_if(wanted: Array, report: Report) -> Metrics:
    """The report's scalars where wanted, zeros elsewhere, without computing them there."""
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(report))
    return jax.lax.cond(wanted, report, lambda: zeros)


def _no_metrics(step: Callable, state: Any, carried: Any) -> Metrics:
    shapes = jax.eval_shape(lambda *carry: step(jnp.zeros((), jnp.int32), (*carry, {}))[2], state, carried)
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
