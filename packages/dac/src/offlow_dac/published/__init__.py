"""Learning curves that the authors of DAC published, as data."""

import csv
from importlib.resources import files

import numpy as np

from offlow_core.training.seed_curves import SeedCurve

SEEDS = 8


def published_curve(task: str) -> SeedCurve | None:
    """Mean and one sample deviation over 8 seeds of D4RL's normalised score; None where there is no curve.

    Read from the vector graphics of the official repository (Fang-Lin93/DAC), to better than 0.05.
    """
    rows = list(csv.DictReader((files(__name__) / "learning_curves.csv").read_text().splitlines()))
    if f"{task}_mean" not in rows[0]:
        return None
    rows = [row for row in rows if row[f"{task}_mean"]]  # one curve ends early
    steps, mean, std = (
        np.array([float(row[name]) for row in rows]) for name in ("step", f"{task}_mean", f"{task}_std")
    )
    return SeedCurve(f"published ({SEEDS} seeds)", steps, mean, mean - std, mean + std)
