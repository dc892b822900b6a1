"""Numbers of a run as TensorBoard shows them."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from offlow_core.suites.score import ScoreRule
from offlow_core.training.run_directory import MetricKind, RunDirectory
from offlow_core.training.tables import as_number

FOLDER = "tensorboard"
HEADINGS: Mapping[MetricKind, str] = {"train": "training", "eval": "evaluation", "timing": "timing"}
STATISTICS = {"means": np.mean, "medians": np.median, "stds": np.std, "mins": np.min, "maxs": np.max}


class TensorBoardLogger:
    """Event files in the run directory: `tensorboard --logdir runs/<task>` shows the runs of a task together.

    Scalars are `training/<name>`, `evaluation/<name>` and `timing/<name>`, and of the scores of each evaluation's
    episodes `evaluation/average_{means,medians,stds,mins,maxs}`, beside their mean length `average_lengths`.
    """

    def __init__(self, run: RunDirectory, score: ScoreRule):
        self._folder, self._score = run.path / FOLDER, score
        self._writer: Any = None

    def log(self, kind: MetricKind, step: int, metrics: Mapping[str, Any]) -> None:
        """Write the metrics of one step."""
        numbers = {name: as_number(name, value) for name, value in metrics.items()}
        self._write(step, {f"{HEADINGS[kind]}/{name}": number for name, number in numbers.items()})

    def log_episodes(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write how the scores of the episodes are spread."""
        scores = np.array([self._score.of(row[self._score.column]) for row in rows])
        scalars = {f"average_{name}": float(statistic(scores)) for name, statistic in STATISTICS.items()}
        scalars["average_lengths"] = float(np.mean([row["length"] for row in rows]))
        self._write(step, {f"evaluation/{name}": value for name, value in scalars.items()})

    def close(self, *, failed: bool = False) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, step: int, scalars: Mapping[str, float | None]) -> None:
        """A file begins with the first number: of a resumed run it hides what earlier files have from there on."""
        if self._writer is None:
            from tensorboardX import SummaryWriter

            # Files are told apart, and ordered, by their names, which otherwise hold whole seconds.
            suffix = f".{time.time_ns()}"
            self._writer = SummaryWriter(str(self._folder), purge_step=step, filename_suffix=suffix)
        for name, value in scalars.items():
            if value is not None and not math.isnan(value):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()
