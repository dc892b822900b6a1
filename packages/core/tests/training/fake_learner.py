"""A learner without a backend: its state is a vector that takes a seeded random walk."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from offlow_core.evaluation import EpisodeRecord
from offlow_core.training.learner import Phase

PREPARING = Phase("preparing", -4, 4, evaluates=False)
TRAINING = Phase("training", 0, 10)


class FakeLearner:
    """Every update adds seeded noise to x, whatever way the blocks are cut.

    `at` maps a step to what happens while it is made: "nan loss", "nan metric", "nan state", "nan grad", "SIGTERM" or
    an exception. `skips` names phases of which nothing is left to do.
    """

    def __init__(
        self,
        seeds: Sequence[int] = (0,),
        phases: Sequence[Phase] = (PREPARING, TRAINING),
        at: dict | None = None,
        skips: Sequence[str] = (),
    ):
        self.device = "cpu: fake"
        self.seeds, self.phases, self.at, self.skips = tuple(seeds), tuple(phases), at or {}, skips
        self.x = [np.full(2, float(seed)) for seed in seeds]
        self.calls: list[str] = []
        self._metrics: list[dict[str, float]] = []
        self._sums = [np.zeros(2) for _ in seeds]  # of the loss, and how many updates it was summed over

    def enter(self, phase: Phase) -> bool:
        self.calls.append(f"enter {phase.name}")
        return phase.name not in self.skips

    def leave(self, phase: Phase) -> None:
        self.calls.append(f"leave {phase.name}")

    def advance(self, step: int, steps: int) -> None:
        for number in range(step + 1, step + steps + 1):
            happening = self.at.get(number)
            if isinstance(happening, BaseException):
                raise happening
            for i, seed in enumerate(self.seeds):
                self.x[i] = 0.9 * self.x[i] + np.random.default_rng([seed, number + 100]).normal(size=2)
            self._metrics = [{"toy/loss": float(x.sum()), "toy/q": float(x[0]), "grad/max": 1.0} for x in self.x]
            self._sums = [sums + np.array([x.sum(), 1]) for sums, x in zip(self._sums, self.x, strict=True)]
            bad = {"nan loss": "toy/loss", "nan metric": "toy/q", "nan grad": "grad/max"}.get(happening)
            if bad:
                self._metrics[-1][bad] = float("nan")
            if happening == "nan state":
                self.x[-1][0] = np.nan
            if happening == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)

    def metrics(self) -> list[dict[str, float]]:
        return self._metrics

    def interval_means(self) -> list[dict[str, float]]:
        means = [{"toy/loss": float(total / count)} for total, count in self._sums]
        self._sums = [np.zeros(2) for _ in self.seeds]
        return means

    def validation_metrics(self, step: int) -> list[dict[str, float]]:
        return [{"validation/toy/loss": float(x[1]) + step} for x in self.x]

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.x).all())

    def policy(self, index: int):
        x = self.x[index].copy()
        return lambda observations, noise_seeds: np.tile(np.clip(x[:1], -1, 1), (len(observations), 1))

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        return {"x": self.x[index].copy(), "sums": self._sums[index].copy()}

    def close(self) -> None:
        self.calls.append("close")

    def load_state_arrays(self, states: Sequence[dict[str, np.ndarray]]) -> None:
        self.x = [state["x"].copy() for state in states]
        self._sums = [state["sums"].copy() for state in states]


@dataclass
class FakeEvaluator:
    """Gives records that tell policy, episode and seed; `asked` keeps the seeds."""

    asked: list[int] = field(default_factory=list)

    def evaluate(self, policy, *, episodes: int, seed: int, progress: bool = False) -> list[EpisodeRecord]:
        self.asked.append(seed)
        action = float(policy(np.zeros((1, 1)), np.zeros((1, 2)))[0, 0])
        return [EpisodeRecord(i, seed + i, action, 3, False, float(i % 2)) for i in range(episodes)]
