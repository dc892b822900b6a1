"""`offlow evaluate`: saved policies of any packages, played with the same seeds."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from offlow_core.commands.shell import run_command
from offlow_core.errors import UserError
from offlow_core.option_checks import OptionError
from offlow_core.training.algorithms import algorithm_of
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_run import EvaluateOptions, FilmError, evaluate_run


@dataclass(frozen=True)
class Options(EvaluateOptions):
    """Evaluate the policies saved in run directories, of whichever packages, each on the same episodes.

    A run that cannot be evaluated is named with the reason, and the others go on.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, arg(metavar="RUN...")] = ()
    """run directories"""
    episodes: int = 100
    """Episodes to play with each."""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and evaluate."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Evaluate every run; status 1 where one could not be, or not be filmed."""
    if not options.runs:
        raise OptionError("name at least one run directory, like runs/<task>/<algorithm>/<seed>-<time>")
    failed = 0
    for path in options.runs:
        try:
            found = RunDirectory.open(path)
            evaluate_run(found, options, algorithm_of(found))
        except FilmError as error:
            failed += 1
            print(error, file=sys.stderr)
        except (UserError, OSError) as error:
            failed += 1
            named = "" if str(path) in str(error) else f"{path}: "
            print(f"{named}not evaluated: {error}", file=sys.stderr)
    if failed:
        sys.exit(1)
