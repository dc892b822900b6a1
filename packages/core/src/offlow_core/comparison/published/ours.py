"""Our value for a published number: of the same method, after the same phases and, if it can be, as many steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from offlow_core.comparison.published import PublishedScore
from offlow_core.comparison.summary import Comparison
from offlow_core.training.run_record import RunRecord

_UNITS = ((1_000_000, "M"), (1_000, "k"))


@dataclass(frozen=True, order=True)
class Steps:
    """How long a run had trained."""

    offline: int
    online: int

    def __str__(self) -> str:
        return f"{_short(self.offline)} + {_short(self.online)}" if self.online else _short(self.offline)


@dataclass(frozen=True)
class OurScore:
    """Mean of one of our methods over the tasks of a published number, each task's being that over its seeds."""

    method: str
    mean: float
    fewest: Steps
    most: Steps
    """After which the scores were taken, over all runs."""
    own_data: bool
    """Whether some run's data came from a file that was named, which need not be the published data set."""
    has_published_steps: bool
    """Whether all runs had trained for as many steps as the published number names."""

    @property
    def text(self) -> str:
        """The mean, and what sets it apart from the published number."""
        steps = str(self.most) if self.fewest == self.most else f"{self.fewest} to {self.most}"
        remarks = ["own data"] * self.own_data + [f"after {steps} steps"] * (not self.has_published_steps)
        return f"{self.method}: {self.mean:.1f}" + (f" ({', '.join(remarks)})" if remarks else "")


def our_scores(comparison: Comparison, score: PublishedScore, rule: str) -> Iterator[OurScore]:
    """Of each of our methods that is the published one and was run on all of its tasks."""
    for method in comparison.methods:
        by_task = [comparison.on(method, task) for task in score.tasks]
        if not all(by_task) or not all(_is_published(run, score) for runs in by_task for run in runs):
            continue
        taken = [[found for run in runs if (found := _score(comparison, run, score, rule))] for runs in by_task]
        if all(taken):
            runs = [run for runs in by_task for run in runs]
            yield _mean(method, taken, score, own_data=any(run.own_data for run in runs))


def _mean(
    method: str, taken: Sequence[Sequence[tuple[float, Steps]]], published: PublishedScore, *, own_data: bool
) -> OurScore:
    """Of scores with their steps, by task and run."""
    steps = [of_run for by_run in taken for _, of_run in by_run]
    return OurScore(
        method=method,
        mean=float(np.mean([np.mean([value for value, _ in by_run]) for by_run in taken])),
        fewest=min(steps),
        most=max(steps),
        own_data=own_data,
        has_published_steps=all(_are_published(of_run, published) for of_run in steps),
    )


def _is_published(run: RunRecord, score: PublishedScore) -> bool:
    """Whether a run is of the published method and has been through the same phases."""
    same_options = all(str(run.options.get(name)) == value for name, value in score.options)
    return run.agent == score.agent and same_options and (_online_steps(run) > 0) == (score.phase != "offline")


def _score(comparison: Comparison, run: RunRecord, published: PublishedScore, rule: str) -> tuple[float, Steps] | None:
    """A run's score by `rule` as if it had ended where the published run was scored, or later by its own end.

    None where it has none: it was not evaluated in the phase so far, or the rule needs the whole run.
    """
    offline_end = run.total_steps - _online_steps(run)
    if published.phase == "online":
        start, end = offline_end, run.total_steps
        if published.online_steps is not None:
            end = min(end, offline_end + published.online_steps)
    else:
        start, end = 0, min(offline_end, published.offline_steps or offline_end)
    evaluated = run.steps[(run.steps > start) & (run.steps <= end)]
    value = comparison.scores_of(run, until=end).get(rule)
    if value is None or len(evaluated) == 0:
        return None
    last = int(evaluated[-1])
    return value, Steps(min(last, offline_end), max(0, last - offline_end))


def _are_published(steps: Steps, score: PublishedScore) -> bool:
    """Whether steps are those that a published number names; not where it names none."""
    if score.phase == "online":
        return (steps.offline, steps.online) == (score.offline_steps, score.online_steps)
    return steps.offline == score.offline_steps


def _online_steps(run: RunRecord) -> int:
    return int(run.options.get("online_steps", 0))


def _short(steps: int) -> str:
    """1M, 500k, 1.5M; in full where that would be longer than one decimal."""
    for size, letter in _UNITS:
        if steps >= size and steps % (size // 10) == 0:
            return f"{steps / size:g}{letter}"
    return f"{steps:,}"
