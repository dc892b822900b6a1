"""A whole comparison: everything that `offlow compare` prints and `offlow report` writes into files."""

from collections.abc import Sequence
from dataclasses import dataclass

from offlow_core.comparison import tables
from offlow_core.comparison.aggregates import Aggregates, Bootstrap, aggregate
from offlow_core.comparison.collecting import LeftOut
from offlow_core.comparison.curves import MethodCurve, curve
from offlow_core.comparison.published import published_scores
from offlow_core.comparison.summary import Comparison
from offlow_core.comparison.table import Table
from offlow_core.errors import UserError
from offlow_core.training.run_scores import mean_rule


class UnknownRuleError(UserError, ValueError):
    """A rule by which no run has a score."""


@dataclass(frozen=True, eq=False)
class Report:
    """What is said of a comparison by one headline rule."""

    title: str
    comparison: Comparison
    rule: str
    aggregates: Sequence[Aggregates]
    """One per suite; without statistics where there is nothing to aggregate."""
    curves: Sequence[MethodCurve]
    left_out: Sequence[LeftOut]
    differences: Sequence[str]
    """What is not the same for all runs, and was allowed."""

    @property
    def main_tables(self) -> list[Table]:
        """Scores per suite, and what is said of each suite as a whole."""
        found = []
        for suite, item in zip(self.comparison.suites, self.aggregates, strict=True):
            found += [
                tables.overview(self.comparison, suite, self.rule),
                tables.aggregates(item, self.rule),
                *tables.improvement(item, self.rule),
            ]
        return found

    @property
    def detail_tables(self) -> list[Table]:
        """Every task by every rule, published numbers, what was left out, and the runs."""
        found = [tables.by_rule(self.comparison, task) for names in self.comparison.suites.values() for task in names]
        found.append(tables.published(self.comparison, published_scores(), self.rule))
        found += [
            tables.left_out(self.left_out),
            tables.run_scores(self.comparison),
            tables.provenance(self.comparison),
        ]
        return [table for table in found if table.rows]


def make_report(
    comparison: Comparison,
    *,
    title: str,
    rule: str,
    bootstrap: Bootstrap,
    left_out: Sequence[LeftOut],
    differences: Sequence[str],
) -> Report:
    """Take all statistics; UnknownRuleError where no run has a score by `rule`."""
    rule = _matching(comparison, rule)
    found = [aggregate(comparison.aggregated(suite, rule), bootstrap) for suite in comparison.suites]
    curves = [
        drawn
        for names in comparison.suites.values()
        for task in names
        for method in comparison.methods
        if (runs := comparison.on(method, task)) and (drawn := curve(method, runs, bootstrap)) is not None
    ]
    return Report(
        title=title,
        comparison=comparison,
        rule=rule,
        aggregates=found,
        curves=curves,
        left_out=left_out,
        differences=differences,
    )


def _matching(comparison: Comparison, wanted: str) -> str:
    """The rule of this name, or the only one that begins so."""
    rules, mean = comparison.rules, mean_rule(comparison.last_k)
    found = [name for name in rules if name == wanted] or [name for name in rules if wanted and name.startswith(wanted)]
    if not found:
        hint = "" if mean in rules else f"; no run has evaluations enough for {mean!r}, --last_k takes fewer"
        raise UnknownRuleError(f"no run has a score by the rule {wanted!r}; there are: {', '.join(rules)}{hint}")
    if len(found) > 1:
        raise UnknownRuleError(f"several rules begin with {wanted!r}: {', '.join(found)}; give one in full")
    return found[0]
