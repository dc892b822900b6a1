"""Measuring: interleaved timing, counted matrix products, the machine's peak, and the table."""

import math
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params

Run = Callable[[int], None]
"""Carries out this many updates and returns when the last one is done."""

PEAK_MEASUREMENT_FLOP = 20e9
PEAK_SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096), (256, 512, 512))


@dataclass(frozen=True)
class Timing:
    """Seconds of something on the clock, and of all this process's threads on the processors.

    The second suffers less from other programs on the machine, but does not see waiting.
    """

    wall_s: float
    cpu_s: float

    def each(self, count: int) -> "Timing":
        """One of `count` equal parts."""
        return Timing(self.wall_s / count, self.cpu_s / count)


def time_of(action: Callable[[], Any]) -> Timing:
    """How long one call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)


def steps_for(run: Run, seconds: float) -> int:
    """How many updates take about this long, found by doubling; also warms up."""
    run(1)
    steps = 1
    while (taken := time_of(partial(run, steps)).wall_s) < seconds / 2:
        steps *= 2
    return max(1, round(steps * seconds / taken))


def interleaved(runs: Sequence[Run], seconds: float, repeats: int) -> list[list[Timing]]:
    """Time of one update of each run in each repeat. They take turns, so that all meet the same disturbances."""
    steps = [steps_for(run, seconds) for run in runs]
    timings: list[list[Timing]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, count, found in zip(runs, steps, timings, strict=True):
            found.append(time_of(partial(run, count)).each(count))
    return timings


def median_ratio(slow: Iterable[float], fast: Iterable[float]) -> float:
    """Median over pairs of neighbouring measurements of how many times longer `slow` took."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


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


def describe_machine(packages: Sequence[str]) -> dict[str, Any]:
    """What the numbers were measured with."""
    device = jax.devices()[0]
    return {
        "command": shlex.join(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": f"{device.platform}: {device.device_kind}",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def markdown_table(rows: Sequence[dict[str, str]]) -> str:
    """A table with one column per key of the first row."""
    columns = list(rows[0])
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1)]
    lines += [[row[column] for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
