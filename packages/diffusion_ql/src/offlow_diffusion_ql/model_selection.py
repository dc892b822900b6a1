"""Which of a run's evaluations is reported, and when a run ends early."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from offlow_core.suites.score import ScoreRule
from offlow_core.training.run_directory import RunDirectory
from offlow_diffusion_ql.best_score import BestScore, Selection, write_best_score
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
            print(f"{run.path}: no evaluation interval was completed, none is selected", file=sys.stderr)
            return {}
        steps, losses = evaluations["step"][ended], evaluations[IMITATION_LOSS][ended]
        name, index = self._choose(evaluations["score"][ended], losses)
        episodes = run.read("episodes")
        chosen = {column: values[episodes["step"] == steps[index]] for column, values in episodes.items()}
        epoch = int(steps[index]) // self.options.agent.steps_per_epoch
        write_best_score(run.path, _best_score(self.options.selection, epoch, chosen, score))
        return {name: float(evaluations["score"][ended][index])}

    def _choose(self, scores: np.ndarray, losses: np.ndarray) -> tuple[str, int]:
        options = self.options
        if options.selection == "online":
            return "online-selected (after the first update left out)", int(np.argmax(scores))
        index = offline_choice(losses, options.top_k, options.offline_rule)
        return f"offline-selected ({options.offline_rule}, top_k {options.top_k})", index


def _best_score(selection: Selection, epoch: int, episodes: Mapping[str, np.ndarray], score: ScoreRule) -> BestScore:
    returns, normalised = episodes["return"], np.asarray(score.of(episodes[score.column])) / 100
    return BestScore(
        selection,
        epoch,
        normalised_mean=float(normalised.mean()),
        normalised_std=float(normalised.std()),
        return_mean=float(returns.mean()),
        return_std=float(returns.std()),
    )
