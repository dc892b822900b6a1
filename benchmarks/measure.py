"""Measuring: interleaved timing, the machine in words, and the table."""

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

Run = Callable[[int], None]
"""Carries out this many updates and returns when the last one is done."""


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


def describe_machine(packages: Sequence[str], device: str) -> dict[str, Any]:
    """What the numbers were measured with."""
    return {
        "command": shlex.join(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": device,
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "flags": {name: os.environ[name] for name in ("XLA_FLAGS", "OMP_NUM_THREADS") if name in os.environ},
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
