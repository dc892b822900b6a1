"""The result file of the official driver, `best_score_online.txt` or `best_score_offline.txt`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from offlow_core.errors import UserError
from offlow_core.files import atomic_file

Selection = Literal["online", "offline"]
SELECTIONS: tuple[Selection, ...] = ("online", "offline")
_KEYS = {
    "selection": "model selection",
    "epoch": "epoch",
    "normalised_mean": "best normalized score avg",
    "normalised_std": "best normalized score std",
    "return_mean": "best raw score avg",
    "return_std": "best raw score std",
}


class BestScoreError(UserError, ValueError):
    """A file that is not such a result."""


@dataclass(frozen=True)
class BestScore:
    """The evaluation that a run reports: means and population deviations over its episodes."""

    selection: Selection
    epoch: int
    normalised_mean: float
    """A hundredth of the task's score: in D4RL a fraction, 1 for the expert; the share of successes in OGBench."""
    normalised_std: float
    return_mean: float
    return_std: float


def best_score_path(folder: Path, selection: str) -> Path:
    """Where a run's result by this selection is."""
    return folder / f"best_score_{selection}.txt"


def write_best_score(folder: Path, score: BestScore) -> Path:
    """Write the result under the official keys."""
    path = best_score_path(folder, score.selection)
    with atomic_file(path) as file:
        file.write(json.dumps({key: getattr(score, name) for name, key in _KEYS.items()}).encode())
    return path


def read_best_score(path: Path) -> BestScore:
    """The result in an official or own file; BestScoreError says what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        values = {name: content[key] for name, key in _KEYS.items()}
        numbers = {name: float(value) for name, value in values.items() if name not in ("selection", "epoch")}
        score = BestScore(selection=values["selection"], epoch=int(values["epoch"]), **numbers)
    except (ValueError, TypeError, KeyError) as error:
        raise BestScoreError(
            f"{path} is no result file: expected JSON with {list(_KEYS.values())} ({error!r})"
        ) from error
    if score.selection not in SELECTIONS:
        raise BestScoreError(f"{path}: expected the model selection online or offline, got {score.selection!r}")
    return score
