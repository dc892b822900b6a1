"""How far from the data each method's actions are and what they get, as text and as a file."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from offlow_core.files import atomic_file
from offlow_dac.bandit.problem import NEAR, Score

COLUMNS = ("distance from data", f"within {NEAR}", "reward")
FILE_COLUMNS = ("distance_from_data", f"share_within_{NEAR}", "reward")


def table_text(scores: Mapping[str, Score]) -> str:
    """A line per method."""
    width = max(map(len, scores))
    lines = [" " * width + "".join(f"  {name:>18}" for name in COLUMNS)]
    for name, score in scores.items():
        lines.append(f"{name:<{width}}  {score.distance:>18.3f}  {100 * score.near:>17.1f}%  {score.reward:>18.3f}")
    return "\n".join(lines)


def write_table(data: str, scores: Mapping[str, Score], path: Path) -> Path:
    """The same as CSV, with the name of the data in every row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["data", "method", *FILE_COLUMNS])
    writer.writerows([data, name, *(f"{value:.4f}" for value in score)] for name, score in scores.items())
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())
    return path
