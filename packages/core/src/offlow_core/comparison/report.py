"""A whole comparison: everything that `offlow compare` prints and `offlow report` writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from offlow_core.comparison import figures, page, tables
from offlow_core.comparison.aggregates import Aggregates, Bootstrap, aggregate
from offlow_core.comparison.collecting import LeftOut
from offlow_core.comparison.curves import MethodCurve, curve
from offlow_core.comparison.published import published_scores
from offlow_core.comparison.summary import Comparison
from offlow_core.comparison.table import Table, csv_text, latex, markdown
from offlow_core.errors import UserError
from offlow_core.files import atomic_file

FORMATS: Mapping[str, Callable[[Table], str]] = {"markdown": markdown, "csv": csv_text, "latex": latex}


class ReportError(UserError, OSError):
    """A folder that cannot be written to."""


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
        for suite in self.comparison.suites:
            found.append(tables.overview(self.comparison, suite, self.rule))
            for item in self.aggregates:
                if item.scores.suite == suite:
                    found += [tables.aggregates(item, self.rule), *tables.improvement(item)]
        return [table for table in found if table.rows or table.note]

    @property
    def detail_tables(self) -> list[Table]:
        """Every task by every rule, published numbers, what was left out, and the runs."""
        found = [tables.by_rule(self.comparison, task) for names in self.comparison.suites.values() for task in names]
        found.append(tables.published(self.comparison, published_scores(), self.rule))
        found += [tables.left_out(self.left_out), tables.provenance(self.comparison)]
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
    rule = _matching(comparison.rules, rule)
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


def _matching(rules: Sequence[str], wanted: str) -> str:
    """The rule of this name, or the only one that begins so."""
    found = [name for name in rules if name == wanted] or [name for name in rules if wanted and name.startswith(wanted)]
    if not found:
        raise UnknownRuleError(f"no run has a score by the rule {wanted!r}; there are: {', '.join(rules)}")
    if len(found) > 1:
        raise UnknownRuleError(f"several rules begin with {wanted!r}: {', '.join(found)}; give one in full")
    return found[0]


def write_report(report: Report, folder: Path) -> Path:
    """Write the page, the same as Markdown, LaTeX and CSV, and the figures; the page's path.

    Tables and figures of an earlier report in the folder are removed. A ReportError says why it cannot be written.
    """
    try:
        for name, suffix in (("tables", "*.csv"), ("figures", "*.png")):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for earlier in (folder / name).glob(suffix):
                earlier.unlink()
        return _write_files(report, folder)
    except OSError as error:
        raise ReportError(f"the report cannot be written to {folder}: {error}") from error


def _write_files(report: Report, folder: Path) -> Path:
    everything = report.main_tables + report.detail_tables
    pictures = figures.draw(report, folder / "figures")
    _write(folder / "report.md", _as_markdown(report, everything, [path.relative_to(folder) for path in pictures]))
    _write(
        folder / "report.tex", "\n".join(latex(table) for table in everything if table.name not in ("runs", "left-out"))
    )
    for table in everything:
        _write(folder / "tables" / f"{table.name}.csv", csv_text(table))
    _write(folder / "report.html", page.render(report))
    return folder / "report.html"


def _as_markdown(report: Report, everything: Sequence[Table], pictures: Sequence[Path]) -> str:
    lines = [f"# {report.title}", ""]
    if report.differences:
        lines += ["Compared although these differ:", "", *(f"- {text}" for text in report.differences), ""]
    lines += [line for path in pictures for line in (f"![{path.stem}]({path})", "")]
    return "\n".join([*lines, *(markdown(table) for table in everything)])


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write(text.encode())
