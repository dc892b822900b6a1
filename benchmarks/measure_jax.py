"""Matrix products: those of a traced program, counted, and the fastest that the machine can do."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params
from measure import Timing, time_of

PEAK_MEASUREMENT_FLOP = 20e9
PEAK_SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096), (256, 512, 512))


def product_flops(function: Callable, *arguments: Any) -> float:
    """Operations in the matrix products of one call; those in a loop of fixed length count once per turn.

    XLA's own cost analysis counts the body of a loop once, whatever its length.
    """
    return _product_flops(jax.make_jaxpr(function)(*arguments).jaxpr)


def _product_flops(jaxpr: Any) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[i] for i in contracted)
        turns = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        total += turns * sum(_product_flops(inner) for inner in jaxprs_in_params(equation.params))
    return total


def matrix_peak(seconds: float = 1.0) -> dict[str, Timing]:
    """Shortest times for an operation of a float32 matrix product, by shape, and the shortest of all as "best"."""
    multiply = jax.jit(jnp.matmul)
    found = {}
    for m, k, n in PEAK_SHAPES:
        left, right = jnp.ones((m, k)), jnp.ones((k, n))
        jax.block_until_ready(multiply(left, right))
        # Several products a measurement: processor time is counted too coarsely for a single small one.
        products = max(1, round(PEAK_MEASUREMENT_FLOP / (2 * m * k * n)))
        several = partial(_products, multiply, left, right, products)
        timings, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(timings) < 3:
            timings.append(time_of(several).each(2 * m * k * n * products))
        found[f"{m}x{k} @ {k}x{n}"] = _shortest(timings)
    return {**found, "best": _shortest(list(found.values()))}


def _products(multiply: Callable, left: jax.Array, right: jax.Array, count: int) -> None:
    for _ in range(count):
        product = multiply(left, right)
    jax.block_until_ready(product)


def _shortest(timings: Sequence[Timing]) -> Timing:
    return Timing(min(timing.wall_s for timing in timings), min(timing.cpu_s for timing in timings))
