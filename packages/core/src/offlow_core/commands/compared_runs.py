"""What `offlow compare` and `offlow report` share: which runs, and how they are judged."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import tyro
from tyro.conf import arg

from offlow_core.comparison.aggregates import Bootstrap
from offlow_core.comparison.collecting import (
    LeftOut,
    NoRunsError,
    Source,
    collect,
    without_older_versions,
    without_repetitions,
)
from offlow_core.comparison.comparability import made_differently, require_comparable
from offlow_core.comparison.methods import named_methods
from offlow_core.comparison.report import Report, make_report
from offlow_core.comparison.statistics import RESAMPLES
from offlow_core.comparison.summary import Comparison
from offlow_core.errors import UserError
from offlow_core.option_checks import OptionError, check
from offlow_core.suites import canonical_name
from offlow_core.training.run_record import RunRecord
from offlow_core.training.run_scores import LAST, LAST_K

MOST_LINES = 10


@dataclass(frozen=True)
class ComparedRuns:
    """Which runs, and how they are judged."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, arg(metavar="[NAME=]RUNS...")] = ()
    """Run directories, or folders with some below them. NAME is what their method is called; without it, methods are
    called as their agent, with the options in which they differ."""
    tasks: tuple[str, ...] = ("*",)
    """Only tasks whose name is like one of these, such as `cube-*`. A suite is aggregated over all of them, for the
    methods that were run on all; where no two were, over tasks that two methods share."""
    rule: str = LAST
    """Which final score of a run counts, by the name or its beginning: last, mean, best, offline-selected."""
    last_k: int = LAST_K
    """Evaluations that the mean of the last ones is over."""
    allow: tuple[Literal["protocol", "budget", "dataset", "semantics", "versions"], ...] = ()
    """What may differ between the runs that are compared."""
    resamples: int = RESAMPLES
    """Resamples of the bootstrap."""
    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        for name in ("last_k", "resamples"):
            check(self, name, lambda value: value >= 1, "at least 1")
        check(self, "seed", lambda value: value >= 0, "at least 0")


def compared(options: ComparedRuns, title: str) -> Report:
    """Read, name, check and judge the runs; what is left out is said on stderr."""
    if not options.runs:
        raise OptionError("name runs to compare: run directories, or folders with some below them, such as runs")
    groups, damaged = collect(map(Source.parse, options.runs), progress=sys.stderr.isatty())
    tasks = {name for pattern in options.tasks for name in (pattern, canonical_name(pattern))}
    wanted = {name: [run for run in runs if _is_like(run.task, tasks)] for name, runs in groups.items()}
    newest, older = without_older_versions(wanted)
    mixes = "versions" in options.allow
    named = named_methods(wanted if mixes else newest)
    methods, repeated = without_repetitions(named)
    hint = " (--allow versions)"
    left_out = [*damaged, *(LeftOut(run.path, run.reason + hint) for run in older if not mixes), *repeated]
    reasons = [f"{run.path}: {run.reason}" for run in left_out]
    try:
        if not methods:
            raise NoRunsError(_nothing_left(options.tasks, groups))
        # Of all runs, so that which of two repetitions counts does not hide that they differ.
        differences = require_comparable(named, options.allow)
    except UserError:
        _list("left out", reasons, most=None)  # there will be no report that lists them all
        raise
    _list("left out", reasons)
    differences += [f"{run.path}: {run.reason}" for run in older if mixes]
    differences += made_differently(methods)
    _list("compared although these differ", differences)
    return make_report(
        Comparison(methods, options.last_k),
        title=title,
        rule=options.rule,
        bootstrap=Bootstrap(options.resamples, options.seed),
        left_out=left_out,
        differences=differences,
    )


def _is_like(task: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(task, pattern) for pattern in patterns)


def _nothing_left(tasks: Sequence[str], groups: Mapping[str | None, Sequence[RunRecord]]) -> str:
    found = sorted({run.task for runs in groups.values() for run in runs})
    if not found:
        return "no run is left to compare"
    return f"no run is left to compare: --tasks {' '.join(tasks)} fits none of the tasks, which are {', '.join(found)}"


def _list(what: str, lines: Sequence[str], most: int | None = MOST_LINES) -> None:
    """Say it on stderr, `most` lines of it (None: all)."""
    if lines:
        print(f"{what} ({len(lines)}):", file=sys.stderr)
    for line in lines[:most]:
        print(f"  {line}", file=sys.stderr)
    if most is not None and len(lines) > most:
        print(f"  and {len(lines) - most} more (offlow report lists them all)", file=sys.stderr)
