"""Scores of several seeds' evaluations, and the text files that the official code keeps them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offlow_core.errors import UserError
from offlow_core.files import atomic_file
from offlow_core.suites.score import ScoreRule
from offlow_core.training.run_directory import RunDirectory

COLUMNS = ("steps", "mean", "median", "std", "min", "max")
FINAL_EVALUATIONS = 5
STATISTICS = (np.mean, np.median, np.std, np.min, np.max)


class ResultsError(UserError, ValueError):
    """Runs or files that no results can be made from."""


@dataclass(frozen=True, eq=False)
class SeedScores:
    """One seed: after which steps it was evaluated [n], and the statistics of COLUMNS over episodes [n, 5]."""

    seed: int
    steps: np.ndarray
    statistics: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Mean score over the episodes of each evaluation, [n]."""
        return self.statistics[:, 0]

    @property
    def final(self) -> float:
        """The reported score: the mean of the last five evaluations."""
        return float(self.means[-FINAL_EVALUATIONS:].mean())

    @property
    def best(self) -> float:
        """The best evaluation, the last one included."""
        return float(self.means.max())


def scores_of(run: RunDirectory, score: ScoreRule) -> SeedScores:
    """What a run's evaluations came to."""
    episodes = run.read("episodes")
    if score.column not in episodes:
        raise ResultsError(f"{run.path} has no evaluation yet; name runs with evaluated episodes")
    steps = np.unique(episodes["step"])
    values = [score.of(episodes[score.column][episodes["step"] == step]) for step in steps]
    statistics = np.array([[statistic(episode_scores) for statistic in STATISTICS] for episode_scores in values])
    return SeedScores(run.config["seed"], steps, statistics)


def write_seed(scores: SeedScores, folder: Path) -> None:
    """`seed_<seed>.txt`: one line per evaluation, with two decimals."""
    rows = zip(scores.steps, scores.statistics, strict=True)
    lines = [[str(step), *(f"{value:.2f}" for value in values)] for step, values in rows]
    _write_table(folder / f"seed_{scores.seed}.txt", [COLUMNS, *lines])


def read_seed(path: Path) -> SeedScores:
    """What `write_seed`, or the official code, wrote."""
    header, *rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()] or [[]]
    if tuple(header) != COLUMNS or not rows or any(len(row) != len(COLUMNS) for row in rows):
        raise ResultsError(f"{path}: expected columns {' '.join(COLUMNS)} and a line per evaluation; it is damaged")
    try:
        values = np.array(rows, float)
        return SeedScores(int(path.stem.removeprefix("seed_")), values[:, 0].astype(int), values[:, 1:])
    except ValueError as error:
        raise ResultsError(f"{path}: {error}; expected seed_<number>.txt with numbers only") from error


def write_final(seeds: Sequence[SeedScores], folder: Path) -> None:
    """`final_mean_scores.txt`: the reported scores, below them the best ones, with mean, deviation, max and min."""
    header = [*(f"seed_{scores.seed}" for scores in seeds), "mean", "std", "max", "min"]
    rows = [[scores.final for scores in seeds], [scores.best for scores in seeds]]
    spread = (np.mean, np.std, np.max, np.min)
    lines = [[f"{value:.2f}" for value in (*row, *(statistic(row) for statistic in spread))] for row in rows]
    _write_table(folder / "final_mean_scores.txt", [header, *lines])


def _write_table(path: Path, lines: Sequence[Sequence[str]]) -> None:
    with atomic_file(path) as file:
        file.write("".join("\t".join(line) + "\n" for line in lines).encode())
