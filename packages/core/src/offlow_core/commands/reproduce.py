"""`offlow reproduce`: a row, a table or a paper as jobs, run and gone on with."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from offlow_core.commands.shell import run_command
from offlow_core.option_checks import OptionError, check
from offlow_core.sweeps.catalogue import find_studies, find_tables, overview
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.expansion import Selection, expand_tables
from offlow_core.sweeps.option_values import read_grid, read_settings
from offlow_core.sweeps.study import StudyTable
from offlow_core.sweeps.sweep import EngineOptions, Sweep
from offlow_core.training.command_line import fail

Words = tyro.conf.UseAppendAction[tuple[str, ...]]


@dataclass(frozen=True)
class Options(EngineOptions):
    """Train what a paper's table needs: PAPER, PAPER/TABLE or FILE.toml[/TABLE]; --list shows what there is.

    Everything is kept in --out, and the same command goes on where it was: finished runs are skipped, interrupted
    ones continue from their checkpoints, failed ones are tried again.
    """

    targets: Annotated[tuple[str, ...], tyro.conf.Positional, arg(metavar="TARGET...")] = ()
    """papers, tables or study files"""
    list: bool = False
    """Show papers and tables, with how many tasks and runs they have."""
    task: tuple[str, ...] = ()
    """Only these tasks: names or patterns such as 'cube-*'."""
    agent: tuple[str, ...] = ()
    """Only these agents: names or patterns."""
    seeds: tuple[int, ...] = ()
    """These seeds in place of the table's."""
    num_seeds: int | None = None
    """So many seeds, from 0."""
    grid: Words = ()
    """NAME=VALUE,VALUE,...: a job for every value, and for every combination if given several times."""
    set: Words = ()
    """NAME=VALUE: an option of all jobs."""
    together: bool = False
    """Train the seeds of a row in one program where that is faster (JAX packages, on a GPU)."""
    out: Path = Path("sweep")
    """Folder for the jobs, each with its log and its runs."""
    dry_run: bool = False
    """Print every command with its state, and run nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "num_seeds", lambda value: value is None or value >= 1, "at least 1")
        if self.seeds and self.num_seeds:
            raise OptionError("give either --seeds or --num_seeds")


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and run the sweep."""
    again = shlex.join([*program.split(), *arguments])
    run_command(Options, lambda options: run(options, program, again), arguments, program)


def run(options: Options, program: str, again: str) -> None:
    """Run the sweep; status 1 where not all jobs finished, 130 where it was stopped, 2 for targets that do not exist.

    `again` is this command with its words.
    """
    try:
        if options.list:
            print(overview(find_studies(options.targets)))
            return
        tables = list({table.path: table for target in options.targets for table in find_tables(target)}.values())
    except SweepError as error:
        fail(program, str(error))
    if not options.targets:
        fail(program, f"name a paper, a table or a study file; {program} --list shows papers and tables")
    jobs = expand_tables(tables, _selection(options))
    sweep = Sweep(jobs, options, options.out, extras=_extras(tables, options))
    if options.dry_run:
        print("\n".join(sweep.commands()))
        return
    status = sweep.run(again)
    if status != 0:
        sys.exit(status)


def _selection(options: Options) -> Selection:
    return Selection(
        tasks=options.task,
        agents=options.agent,
        seeds=options.seeds or tuple(range(options.num_seeds or 0)),
        grid=read_grid(options.grid),
        settings=read_settings(options.set, "set"),
        together=options.together,
    )


def _extras(tables: Sequence[StudyTable], options: Options) -> dict[str, set[str]]:
    """Extras of each package's environment."""
    extras: dict[str, set[str]] = {}
    for table in tables:
        extras.setdefault(table.package, set(options.extra)).update(table.extras)
    return extras
