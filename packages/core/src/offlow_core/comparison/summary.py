"""The numbers of a comparison: scores per method, task and rule, and the matrices that statistics are taken of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from offlow_core.comparison.shared_tasks import lacking, patterns, shared_tasks
from offlow_core.training.run_record import RETURN, RunRecord
from offlow_core.training.run_scores import final_scores
from offlow_core.wording import counted


@dataclass(frozen=True)
class ScoreSpread:
    """Scores of one method on one task over its seeds."""

    mean: float
    std: float
    """Standard deviation over seeds (n - 1); NaN for a single one."""
    seeds: int


@dataclass(frozen=True, eq=False)
class SuiteScores:
    """What is aggregated over tasks of a suite: of each method that ran on all of them, the seeds that did."""

    suite: str
    tasks: tuple[str, ...]
    is_whole: bool
    """Whether these are all tasks of the suite."""
    scores: Mapping[str, np.ndarray]
    """By method, [seeds, tasks], 1 where the task's score is 100."""
    remarks: tuple[str, ...]
    """What had to be left out of the aggregate, and why."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods side by side."""

    methods: Mapping[str, Sequence[RunRecord]]
    last_k: int

    @cached_property
    def runs(self) -> list[RunRecord]:
        """All runs."""
        return [run for runs in self.methods.values() for run in runs]

    @cached_property
    def suites(self) -> dict[str, list[str]]:
        """Tasks by suite, both in the order of their names."""
        pairs = sorted({(run.suite, run.task) for run in self.runs})
        return {suite: [task for other, task in pairs if other == suite] for suite in dict(pairs)}

    @cached_property
    def rules(self) -> list[str]:
        """All rules by which some run has a score."""
        return list(dict.fromkeys(rule for run in self.runs for rule in self.scores_of(run)))

    def scores_of(self, run: RunRecord, until: int | None = None) -> dict[str, float]:
        """A run's final score by the name of the rule; `until` a step before its last, as if it had ended there.

        What its package or later evaluations chose is of the whole run only.
        """
        if until is None or until >= run.steps[-1]:
            return final_scores(run.steps, run.scores, self.last_k) | dict(run.selected)
        taken = run.steps <= until
        return final_scores(run.steps[taken], run.scores[taken], self.last_k)

    def on(self, method: str, task: str) -> Sequence[RunRecord]:
        """The runs of a method on a task."""
        return self._runs_on.get((method, task), ())

    def score_name(self, task: str) -> str:
        """What the scores of a task are."""
        return self._score_names[task]

    def spread(self, method: str, task: str, rule: str) -> ScoreSpread | None:
        """Mean and deviation over seeds; None where no run of the method on this task has a score by the rule."""
        found = [self.scores_of(run).get(rule) for run in self.on(method, task)]
        values = [value for value in found if value is not None]
        if not values:
            return None
        std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        return ScoreSpread(float(np.mean(values)), std, len(values))

    def aggregated(self, suite: str, rule: str) -> SuiteScores:
        """The matrices of the methods that have scores on all tasks of a suite, of the seeds they have on all of them.

        Tasks whose scores have no common scale are left out; so are, where no two methods share all tasks, those that
        `shared_tasks` leaves out.
        """
        known, methods = self.suites[suite], self.methods_of(suite)
        scaled = [task for task in known if self.score_name(task) != RETURN]
        found = {(method, task): self._by_seed(method, task, rule) for method in methods for task in scaled}
        tasks_of = {method: [task for task in scaled if found[method, task]] for method in methods}
        tasks = shared_tasks(tasks_of, scaled)
        remarks = [f"{task}: returns have no common scale" for task in known if task not in scaled]
        if unshared := [task for task in scaled if task not in tasks]:
            why = f"no two methods have scores on all {counted(len(scaled), 'task')}, and more can be compared without"
            remarks.append(f"{', '.join(patterns(unshared, known))}: {why}")
        remarks += lacking(tasks_of, tasks, known)
        scores = {}
        for method in (name for name in methods if tasks and set(tasks).issubset(tasks_of[name])):
            by_task = [found[method, task] for task in tasks]
            common = sorted(set.intersection(*(set(seeds) for seeds in by_task)))
            if dropped := sum(map(len, by_task)) - len(common) * len(tasks):
                remarks.append(f"{method}: {counted(dropped, 'run')} whose seed is missing on another task")
            if common:
                scores[method] = np.array([[seeds[seed] / 100 for seeds in by_task] for seed in common])
        return SuiteScores(suite, tuple(tasks), tasks == known, scores, tuple(remarks))

    def methods_of(self, suite: str) -> list[str]:
        """The methods with a run in a suite."""
        return [method for method, runs in self.methods.items() if any(run.suite == suite for run in runs)]

    @cached_property
    def _runs_on(self) -> dict[tuple[str, str], list[RunRecord]]:
        """The runs by method and task."""
        found: dict[tuple[str, str], list[RunRecord]] = {}
        for method, runs in self.methods.items():
            for run in runs:
                found.setdefault((method, run.task), []).append(run)
        return found

    @cached_property
    def _score_names(self) -> dict[str, str]:
        return {run.task: run.score for run in reversed(self.runs)}

    def _by_seed(self, method: str, task: str, rule: str) -> dict[int, float]:
        scores = {run.seed: self.scores_of(run).get(rule) for run in self.on(method, task)}
        return {seed: score for seed, score in scores.items() if score is not None}
