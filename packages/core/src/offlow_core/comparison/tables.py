"""The tables of a comparison."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from offlow_core.comparison.aggregates import MOST_PAIRED, Aggregates
from offlow_core.comparison.collecting import LeftOut
from offlow_core.comparison.published import PublishedScore
from offlow_core.comparison.published.ours import OurScore, our_scores
from offlow_core.comparison.statistics import LEVEL, STATISTICS, Estimate
from offlow_core.comparison.summary import Comparison, ScoreSpread
from offlow_core.comparison.table import Cell, Table, cells
from offlow_core.training.run_record import RunRecord
from offlow_core.training.run_scores import mean_rule
from offlow_core.wording import counted

NEAR_BEST = 0.95
SPREAD = "mean ± standard deviation over seeds (number of seeds)"
INTERVAL = f"{LEVEL:.0%} interval by stratified bootstrap over seeds"
MISSING = "—"
LOWER_IS_BETTER = frozenset({"optimality gap"})
_ALTERNATIVES = re.compile(r"\{([^{},]*)(?:,[^{},]*){2,}\}")


def overview(comparison: Comparison, suite: str, rule: str) -> Table:
    """Tasks by methods, by one rule."""
    methods = comparison.methods_of(suite)
    kinds = sorted({comparison.score_name(task) for task in comparison.suites[suite]})
    rows = []
    for task in comparison.suites[suite]:
        spreads = [comparison.spread(method, task, rule) for method in methods]
        name = Cell(f"{task} ({comparison.score_name(task)})", plain=task, brief=task if len(kinds) == 1 else "")
        rows.append(cells(name, *_near_best(spreads)))
    note = (
        f"Score ({' or '.join(kinds)}) by the rule “{rule}”: {SPREAD}; bold: at least {NEAR_BEST:.0%} of the best mean "
        "of the task."
    )
    if rule == mean_rule(comparison.last_k):
        note += _too_short(comparison, [run for run in comparison.runs if run.suite == suite])
    header = ("task", *methods)
    return Table(f"{safe(suite)}-scores", f"{suite}: {rule}", header, tuple(rows), note, "method", _of(suite, rule))


def by_rule(comparison: Comparison, task: str) -> Table:
    """One task: methods by rules."""
    rules = [rule for rule in comparison.rules if any(comparison.spread(m, task, rule) for m in comparison.methods)]
    methods = [name for name in comparison.methods if comparison.on(name, task)]
    rows = [cells(method, *(_spread(comparison.spread(method, task, rule)) for rule in rules)) for method in methods]
    note = f"{comparison.score_name(task).capitalize()}, {SPREAD}. Every column is a rule for a run's final score."
    note += _too_short(comparison, [run for method in methods for run in comparison.on(method, task)])
    return Table(f"task-{safe(task)}", task, ("method", *rules), tuple(rows), note, "rule", {"task": task})


def aggregates(found: Aggregates, rule: str) -> Table:
    """Methods by statistics over tasks of a suite."""
    suite, names = found.scores, list(STATISTICS)
    best = {
        name: (min if name in LOWER_IS_BETTER else max)(by[name].value for by in found.statistics.values())
        for name in (names if found.statistics else [])
    }
    rows = []
    for method, by in found.statistics.items():
        seeds = len(suite.scores[method])
        name = Cell(f"{method} ({counted(seeds, 'seed')})", plain=method)
        rows.append(cells(name, *(_interval(by[s], [seeds], {"seeds": seeds}, by[s].value == best[s]) for s in names)))
    tasks = "all tasks" if suite.is_whole or not suite.tasks else counted(len(suite.tasks), "task")
    return Table(
        name=f"{safe(suite.suite)}-aggregates",
        title=f"{suite.suite}: {tasks}",
        header=("method", *names),
        rows=tuple(rows),
        note=_aggregates_note(found, rule),
        axis="statistic",
        context=_of(suite.suite, rule),
        is_over_tasks=True,
    )


def _aggregates_note(found: Aggregates, rule: str) -> str:
    suite = found.scores
    tasks = f"{counted(len(suite.tasks), 'task')} ({', '.join(suite.tasks)})"
    what = f"Over {tasks}, rule “{rule}”; in points, {INTERVAL} (none for a single seed)."
    note = (what if found.statistics else "Nothing to aggregate.") + "".join(
        f" Left out: {remark}." for remark in suite.remarks
    )
    if len(found.statistics) > MOST_PAIRED:
        note += f" Probabilities of improvement are left out: there are more than {MOST_PAIRED} methods."
    return note


def improvement(found: Aggregates, rule: str) -> list[Table]:
    """How probably the method of the row is better than that of the column; no table where no two were compared."""
    if not found.improvement:
        return []
    seeds = {method: len(scores) for method, scores in found.scores.scores.items()}
    rows = [
        cells(x, *("" if x == y else _interval(found.improvement[x, y], [seeds[x], seeds[y]]) for y in seeds))
        for x in seeds
    ]
    note = (
        f"How probably, in percent, a run of the row's method beats one of the column's, by the rule “{rule}”; mean "
        f"over {counted(len(found.scores.tasks), 'task')}, {INTERVAL} (none for single seeds)."
    )
    suite = found.scores.suite
    title, header, context = f"{suite}: probability of improvement", ("method", *seeds), _of(suite, rule)
    name = f"{safe(suite)}-improvement"
    return [Table(name, title, header, tuple(rows), note, "other method", context, is_over_tasks=True)]


def published(comparison: Comparison, scores: Iterable[PublishedScore], rule: str) -> Table:
    """What the papers report for the compared tasks, and beside it our mean where all of its tasks were run."""
    tasks = {run.task for run in comparison.runs}
    found = [(score, list(our_scores(comparison, score, rule))) for score in scores if tasks.intersection(score.tasks)]
    rows = [
        cells(
            Cell(score.group, brief=_brief_group(score)),
            score.method,
            score.text,
            "; ".join(our.text for our in ours) or MISSING,
            score.setting,
            score.source,
        )
        for score, ours in found
    ]
    note = (
        f"Ours by the rule “{rule}”, mean over tasks and seeds, after the published number of steps, as if the run had "
        "ended there. “After ... steps”, offline + online: ours had fewer, or the source names none. “Own data”: ours "
        "come from a file that was given as --dataset_path, so they may be others than the published ones. Published "
        "runs had their own budget, networks and simulator: they are context, not a test."
    )
    header = ("tasks", "method", "published", "ours", "setting", "source")
    records = tuple(_record(score, our, rule) for score, ours in found for our in ours or [None])
    return Table("published", "Published numbers", header, tuple(rows), note, records=records)


def _record(score: PublishedScore, our: OurScore | None, rule: str) -> dict[str, str | float | None]:
    """A published number and one of ours, each number in a column of its own."""
    known = our is not None
    return {
        "tasks": score.group,
        "method": score.method,
        "phase": score.phase,
        "offline steps": score.offline_steps,
        "online steps": score.online_steps,
        "mean": score.score,
        "spread": score.spread,
        "our method": our.method if known else None,
        "our rule": rule if known else None,
        "our mean": our.mean if known else None,
        "our offline steps": our.most.offline if known else None,
        "our online steps": our.most.online if known else None,
        "our data": ("own" if our.own_data else "published") if known else None,
        "setting": score.setting,
        "source": score.source,
    }


def _brief_group(score: PublishedScore) -> str:
    """A group of tasks with the first only of three or more alternatives, and how many tasks there are."""
    first = _ALTERNATIVES.sub(r"{\1, ...}", score.group)
    return score.group if first == score.group else f"{first} ({counted(len(score.tasks), 'task')})"


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
    note = "Every column is a rule for the final score." + _too_short(comparison, comparison.runs)
    return Table("run-scores", "Scores of the runs", header, tuple(rows), note)


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


def _too_short(comparison: Comparison, runs: Sequence[RunRecord]) -> str:
    """Why some of the runs have no mean of their last evaluations, if some have none."""
    rule = mean_rule(comparison.last_k)
    number = sum(rule not in comparison.scores_of(run) for run in runs)
    if number == 0:
        return ""
    fewer = f"fewer than {counted(comparison.last_k, 'evaluation')} that count"
    return (
        f" “{rule}” is missing for {number} of {counted(len(runs), 'run')}: {fewer} (the one after the first update "
        "does not); --last_k takes fewer."
    )


def _interval(
    estimate: Estimate, seeds: Sequence[int], counts: Mapping[str, int] = MappingProxyType({}), is_best: bool = False
) -> Cell:
    """With its interval, unless each method it is of has a single one of the `seeds`, one number per method."""
    value, low, high = (100 * number for number in (estimate.value, estimate.low, estimate.high))
    if max(seeds) == 1:
        return Cell(f"{value:.1f}", is_best, {"value": value, "low": math.nan, "high": math.nan, **counts})
    return Cell(f"{value:.1f} [{low:.1f}, {high:.1f}]", is_best, {"value": value, "low": low, "high": high, **counts})
