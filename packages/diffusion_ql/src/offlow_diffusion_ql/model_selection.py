"""Which of a run's evaluations is reported, when a run ends early, and the result file of the official driver."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from offlow_core.files import atomic_file
from offlow_core.suites.score import ScoreRule
from offlow_core.training.run_directory import RunDirectory
from offlow_diffusion_ql.config import DiffusionQlOptions

IMITATION_LOSS = "interval/actor/bc_loss"
FIRST_BOUND = 100.0  # what the first interval's loss is compared with


def offline_choice(losses: np.ndarray, top_k: int, rule: Literal["upstream", "corrected"]) -> int:
    """The evaluation that the imitation losses [n] of the intervals before each choose, as its index.

    With p = min(n - 1, top_k), `corrected` takes the evaluation whose loss has rank p, as evidently meant. `upstream`
    takes the rank of evaluation p as an index, as the official code does; its published `top_k` were tuned with that.
    The two agree where losses only fall.
    """
    order = np.argsort(losses, kind="stable")
    place = min(len(losses) - 1, top_k)
    return int(order[place] if rule == "corrected" else np.argsort(order, kind="stable")[place])


def has_risen(losses: np.ndarray) -> bool:
    """Whether the last interval's imitation loss is above the one before, or above 100 for the first interval."""
    before = losses[-2] if len(losses) > 1 else FIRST_BOUND
    return bool(losses[-1] > before)


@dataclass(frozen=True)
class PublishedSelection:
    """Online selection (the best return of all evaluations) or offline selection (by the imitation loss)."""

    options: DiffusionQlOptions

    def ends_early(self, evaluations: Mapping[str, np.ndarray]) -> bool:
        """Whether the run is to stop early and its imitation loss has risen."""
        losses = evaluations.get(IMITATION_LOSS, np.zeros(0))
        losses = losses[np.isfinite(losses)]
        return self.options.early_stop and len(losses) > 0 and has_risen(losses)

    def scores(self, run: RunDirectory, score: ScoreRule) -> dict[str, float]:
        """The selected evaluation's score; also writes `best_score_online.txt` or `best_score_offline.txt`."""
        evaluations = run.read("eval")
        ended = np.isfinite(evaluations.get(IMITATION_LOSS, np.full(len(evaluations["step"]), np.nan)))
        if not ended.any():
            return {}
        steps, losses = evaluations["step"][ended], evaluations[IMITATION_LOSS][ended]
        name, index = self._choose(evaluations["score"][ended], losses)
        epoch = steps[index] // self.options.agent.steps_per_epoch
        write_best_score(run.path, self.options.selection, int(epoch), *_episodes(run, steps[index], score))
        return {name: float(evaluations["score"][ended][index])}

    def _choose(self, scores: np.ndarray, losses: np.ndarray) -> tuple[str, int]:
        options = self.options
        if options.selection == "online":
            return "online-selected", int(np.argmax(scores))
        index = offline_choice(losses, options.top_k, options.offline_rule)
        return f"offline-selected ({options.offline_rule}, top_k {options.top_k})", index


def _episodes(run: RunDirectory, step: int, score: ScoreRule) -> tuple[np.ndarray, np.ndarray]:
    """Returns and normalised scores (as fractions) of the episodes of one evaluation."""
    episodes = run.read("episodes")
    rows = episodes["step"] == step
    return episodes["return"][rows], np.asarray(score.of(episodes[score.column][rows])) / 100


def write_best_score(folder: Path, selection: str, epoch: int, returns: np.ndarray, normalised: np.ndarray) -> Path:
    """Write the official result file: means and population deviations over episodes, normalised as fractions."""
    path = folder / f"best_score_{selection}.txt"
    content = {
        "model selection": selection,
        "epoch": epoch,
        "best normalized score avg": float(normalised.mean()),
        "best normalized score std": float(normalised.std()),
        "best raw score avg": float(returns.mean()),
        "best raw score std": float(returns.std()),
    }
    with atomic_file(path) as file:
        file.write(json.dumps(content).encode())
    return path
