"""PyTorch training loops side by side."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import Run, interleaved, markdown_table, median_ratio

Row = dict[str, Any]


def measure_loops(
    name: str, loops: Mapping[str, Callable[[], Run]], *, seconds: float, repeats: int, unit: str = "updates"
) -> list[Row]:
    """How many of `unit` per second every loop makes, and its ratio to the first."""
    runs, first_s = {}, {}
    for loop, make in loops.items():
        start_s = time.perf_counter()
        runs[loop] = make()
        runs[loop](1)
        first_s[loop] = time.perf_counter() - start_s
    timings = interleaved(list(runs.values()), seconds, repeats)
    walls = [[timing.wall_s for timing in found] for found in timings]
    return [
        {
            "case": name,
            "unit": unit,
            "loop": loop,
            "per_s": 1 / statistics.median(wall),
            "ratio": median_ratio(walls[0], wall),
            "first_s": first_s[loop],
            "seconds_each": wall,
        }
        for loop, wall in zip(runs, walls, strict=True)
    ]


def report(rows: Sequence[Row], machine: Mapping[str, Any], shape: str) -> str:
    """The table and what it was measured with, in Markdown; `shape` says how large everything is."""
    table = [
        {
            "what": row["case"],
            "loop": row["loop"],
            "per second": f"{row['per_s']:.1f} {row['unit']}",
            "ratio": f"{row['ratio']:.2f}",
            "first one, s": f"{row['first_s']:.1f}",
        }
        for row in rows
    ]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    where = f"{machine['cpu']}, {machine['cores']} cores ({machine['device']}), load average {machine['load_average']}"
    when = f"{machine['date']}; Python {machine['python']}, {versions}."
    return "\n".join(
        [
            markdown_table(table),
            "",
            f"{shape}; loops interleaved, medians.",
            "",
            f"{where} at the start, {when}",
            "",
            f"`{machine['command']}`",
        ]
    )


def write(out: Path | None, text: str, rows: Sequence[Row], machine: Mapping[str, Any]) -> None:
    """Print the table; where there is a path, also write <out>.md and <out>.json."""
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(f"{text}\n")
        out.with_suffix(".json").write_text(json.dumps({"machine": machine, "rows": list(rows)}, indent=2) + "\n")
