"""The tables of a comparison."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from offlow_core.comparison.aggregates import MOST_PAIRED, Aggregates
from offlow_core.comparison.collecting import LeftOut
from offlow_core.comparison.published import PublishedScore
from offlow_core.comparison.statistics import LEVEL, STATISTICS, Estimate
from offlow_core.comparison.summary import Comparison, ScoreSpread
from offlow_core.comparison.table import Cell, Table, cells
from offlow_core.training.run_record import RunRecord
from offlow_core.wording import counted

NEAR_BEST = 0.95
SPREAD = "mean ± standard deviation over seeds (number of seeds)"
INTERVAL = f"{LEVEL:.0%} interval by stratified bootstrap over seeds"
MISSING = "—"
LOWER_IS_BETTER = frozenset({"optimality gap"})


def overview(comparison: Comparison, suite: str, rule: str) -> Table:
    """Tasks by methods, by one rule."""
    methods = comparison.methods_of(suite)
    rows = []
    for task in comparison.suites[suite]:
        spreads = [comparison.spread(method, task, rule) for method in methods]
        name = Cell(f"{task} ({comparison.score_name(task)})", plain=task)
        rows.append(cells(name, *_near_best(spreads)))
    note = f"Score by the rule “{rule}”: {SPREAD}; bold: at least {NEAR_BEST:.0%} of the best mean of the task."
    header = ("task", *methods)
    return Table(f"{safe(suite)}-scores", f"{suite}: {rule}", header, tuple(rows), note, "method", _of(suite, rule))


def by_rule(comparison: Comparison, task: str) -> Table:
    """One task: methods by rules."""
    rules = [rule for rule in comparison.rules if any(comparison.spread(m, task, rule) for m in comparison.methods)]
    methods = [name for name in comparison.methods if comparison.on(name, task)]
    rows = [cells(method, *(_spread(comparison.spread(method, task, rule)) for rule in rules)) for method in methods]
    note = f"{comparison.score_name(task).capitalize()}, {SPREAD}. Every column is a rule for a run's final score."
    return Table(f"task-{safe(task)}", task, ("method", *rules), tuple(rows), note, "rule", {"task": task})


def aggregates(found: Aggregates, rule: str) -> Table:
    """Methods by statistics over all tasks of a suite."""
    suite, names = found.scores, list(STATISTICS)
    best = {
        name: (min if name in LOWER_IS_BETTER else max)(by[name].value for by in found.statistics.values())
        for name in (names if found.statistics else [])
    }
    rows = [
        cells(
            Cell(f"{method} ({counted(len(suite.scores[method]), 'seed')})", plain=method),
            *(_interval(by[name], len(suite.scores[method]), is_best=by[name].value == best[name]) for name in names),
        )
        for method, by in found.statistics.items()
    ]
    remarks = "".join(f" Left out: {remark}." for remark in suite.remarks)
    tasks = f"{counted(len(suite.tasks), 'task')} ({', '.join(suite.tasks)})"
    if found.statistics:
        note = f"Over {tasks}, rule “{rule}”; in points, {INTERVAL} (none for a single seed).{remarks}"
    else:
        note = f"Nothing to aggregate.{remarks}"
    if len(found.statistics) > MOST_PAIRED:
        note += f" Probabilities of improvement are left out: there are more than {MOST_PAIRED} methods."
    title, header, context = f"{suite.suite}: all tasks", ("method", *names), _of(suite.suite, rule)
    return Table(f"{safe(suite.suite)}-aggregates", title, header, tuple(rows), note, "statistic", context)


def improvement(found: Aggregates, rule: str) -> list[Table]:
    """How probably the method of the row is better than that of the column; no table where no two were compared."""
    if not found.improvement:
        return []
    methods = list(found.scores.scores)
    rows = [cells(x, *("" if x == y else _interval(found.improvement[x, y]) for y in methods)) for x in methods]
    note = (
        f"How probably, in percent, a run of the row's method beats one of the column's, by the rule “{rule}”; mean "
        f"over tasks, {INTERVAL}."
    )
    suite = found.scores.suite
    title, header = f"{suite}: probability of improvement", ("method", *methods)
    return [Table(f"{safe(suite)}-improvement", title, header, tuple(rows), note, "other method", _of(suite, rule))]


def published(comparison: Comparison, scores: Iterable[PublishedScore], rule: str) -> Table:
    """What the papers report for the compared tasks, and beside it our mean where all of its tasks were run."""
    tasks = {run.task for run in comparison.runs}
    rows = [
        cells(score.group, score.method, score.text, _ours(comparison, score, rule), score.setting, score.source)
        for score in scores
        if tasks.intersection(score.tasks)
    ]
    note = (
        f"Ours by the rule “{rule}”, mean over tasks and seeds. Published runs had their own budget, networks and "
        "simulator: they are context, not a test."
    )
    header = ("tasks", "method", "published", "ours", "setting", "source")
    return Table("published", "Published numbers", header, tuple(rows), note)


def _ours(comparison: Comparison, score: PublishedScore, rule: str) -> str:
    """Means of our methods that are the published one and were run on all of its tasks."""
    found = []
    for method, runs in comparison.methods.items():
        spreads = [comparison.spread(method, task, rule) for task in score.tasks]
        known = [spread.mean for spread in spreads if spread is not None]
        if all(_is_published(run, score) for run in runs) and len(known) == len(spreads):
            found.append(f"{method}: {sum(known) / len(known):.1f}")
    return "; ".join(found) or MISSING


def _is_published(run: RunRecord, score: PublishedScore) -> bool:
    """Whether a run is of the published method and has been through the same phases."""
    online = bool(run.options.get("online_steps", 0))
    same_options = all(str(run.options.get(name)) == value for name, value in score.options)
    return run.agent == score.agent and same_options and score.phase == ("online" if online else "offline")


def left_out(runs: Sequence[LeftOut]) -> Table:
    """Run directories that do not count, and jobs that have none."""
    rows = [cells(str(run.path), " ".join(run.reason.split())) for run in runs]
    return Table("left-out", "Left out", ("path", "reason"), tuple(rows), "None of these enters any number above.")


def provenance(comparison: Comparison) -> Table:
    """What made each run."""
    rows = [
        cells(method, run.task, str(run.seed), str(run.path), run.dataset[:12], run.made_with)
        for method, runs in comparison.methods.items()
        for run in runs
    ]
    return Table("runs", "Runs", ("method", "task", "seed", "run", "dataset", "made with"), tuple(rows))


def run_scores(comparison: Comparison) -> Table:
    """The final scores of each run by every rule."""
    rows = []
    for method, runs in comparison.methods.items():
        for run in runs:
            found = comparison.scores_of(run)
            texts = [repr(found[rule]) if rule in found else "" for rule in comparison.rules]
            rows.append(cells(method, run.task, str(run.seed), *texts))
    header = ("method", "task", "seed", *comparison.rules)
    return Table("run-scores", "Scores of the runs", header, tuple(rows), "Every column is a rule for the final score.")


def safe(text: str) -> str:
    """Text as a part of a file's name or of a label in LaTeX."""
    return re.sub(r"[^\w.-]", "_", text)


def _near_best(spreads: Sequence[ScoreSpread | None]) -> list[Cell]:
    best = max((spread.mean for spread in spreads if spread is not None), default=math.nan)
    threshold = best - (1 - NEAR_BEST) * abs(best)
    return [_spread(spread, is_best=spread is not None and spread.mean >= threshold) for spread in spreads]


def _spread(spread: ScoreSpread | None, *, is_best: bool = False) -> Cell:
    if spread is None:
        return Cell(MISSING)
    deviation = "" if math.isnan(spread.std) else f" ± {spread.std:.1f}"
    return Cell(f"{spread.mean:.1f}{deviation} ({spread.seeds})", is_best, asdict(spread))


def _of(suite: str, rule: str) -> dict[str, str]:
    return {"suite": suite, "rule": rule}


def _interval(estimate: Estimate, seeds: int | None = None, *, is_best: bool = False) -> Cell:
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    text = f"{value:.1f}" if low == high == value else f"{value:.1f} [{low:.1f}, {high:.1f}]"
    counts = {} if seeds is None else {"seeds": seeds}
    return Cell(text, is_best, {"value": value, "low": low, "high": high, **counts})
