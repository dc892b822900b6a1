"""`dac results` and `dac curves`: the official code's files from runs, and several results in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from offlow_core.commands.shell import run_command
from offlow_core.option_checks import OptionError
from offlow_core.suites import resolve
from offlow_core.suites.score import ScoreRule
from offlow_core.training.option_json import from_json
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.seed_curves import plot_curves
from offlow_dac.options import VARIANTS
from offlow_dac.published import published_curve
from offlow_dac.results.curves import RULE, read_folder, seed_curve
from offlow_dac.results.folder import write_results


@dataclass(frozen=True)
class ResultsOptions:
    """Write the official code's result files for runs that are the seeds of one method."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run directories."""
    out: Path = Path("results")
    """Folder to write."""


@dataclass(frozen=True)
class CurvesOptions:
    """Draw folders of results, ours or the official code's, in one picture."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders with seed_<number>.txt."""
    labels: tuple[str, ...] = ()
    """What to call them; by default their folders' names."""
    window: int = 1
    """Evaluations that each point is the mean of."""
    published: str | None = None
    """A task, such as walker2d-medium-v2, whose published curve is drawn beside them."""
    out: Path = Path("curves.png")
    """Picture to write."""


def results_command(argv: Sequence[str]) -> int:
    """`dac results RUN...`"""
    run_command(ResultsOptions, _write, argv, "dac results")
    return 0


def curves_command(argv: Sequence[str]) -> int:
    """`dac curves FOLDER...`"""
    run_command(CurvesOptions, _draw, argv, "dac curves")
    return 0


def _write(options: ResultsOptions) -> None:
    if not options.runs:
        raise OptionError("name at least one run directory")
    runs = [RunDirectory.open(path) for path in options.runs]
    saved = from_json(VARIANTS, runs[0].config)
    write_results(runs, options.out, resolve(saved.env_name, saved.suite).score)
    print(options.out)


def _draw(options: CurvesOptions) -> None:
    labels = options.labels or tuple(_label(folder) for folder in options.folders)
    if not options.folders or len(labels) != len(options.folders):
        raise OptionError(f"name at least one folder, and a label for each or none, got {len(labels)} labels")
    if options.window < 1:
        raise OptionError(f"window must be at least 1, got {options.window}")
    pairs = zip(labels, options.folders, strict=True)
    curves = [seed_curve(label, read_folder(folder), options.window) for label, folder in pairs]
    title = "Score"
    if options.published is not None:
        curve = published_curve(options.published)
        if curve is None:
            raise OptionError(f"no curve was published for {options.published}")
        curves.append(curve)
        title = options.published
    rule = RULE if options.window == 1 else f"{RULE}; {options.window} evaluations per point"
    plot_curves(curves, options.out, title=title, rule=rule, score=ScoreRule("score", "score", is_share=False))
    print(options.out)


def _label(folder: Path) -> str:
    """RUN/results is called by its run."""
    path = folder.resolve()
    return path.parent.name if path.name == "results" else path.name
