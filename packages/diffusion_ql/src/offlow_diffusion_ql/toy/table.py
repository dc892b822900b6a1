"""How many of each method's actions are where, as text and as a file."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from offlow_core.files import atomic_file
from offlow_diffusion_ql.toy.bandit import CORNERS, shares

COLUMNS = (*(corner.name for corner in CORNERS), "elsewhere")


def table_text(samples: Mapping[str, np.ndarray]) -> str:
    """A line per method: percent of its actions within 0.2 of each corner, and of none."""
    width = max(map(len, samples))
    lines = [" " * width + "".join(f"  {name:>10}" for name in COLUMNS)]
    for name, actions in samples.items():
        lines.append(f"{name:<{width}}" + "".join(f"  {100 * share:>9.1f}%" for share in shares(actions)))
    return "\n".join(lines)


def write_table(samples: Mapping[str, np.ndarray], path: Path) -> Path:
    """The same as CSV, shares from 0 to 1."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", *(name.replace("-", "_") for name in COLUMNS)])
    writer.writerows([name, *(f"{share:.4f}" for share in shares(actions))] for name, actions in samples.items())
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())
    return path
