"""What the `offlow` commands share: options from words, and errors as one message."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar, get_origin, get_type_hints

import tyro

from offlow_core.errors import UserError
from offlow_core.training.command_line import fail

T = TypeVar("T")


def run_command(options: type[T], run: Callable[[T], None], arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` into `options` and run; an error that a user can mend ends in one message and status 1."""
    _refuse_repetitions(options, arguments, program)
    parsed = tyro.cli(
        options, args=arguments, prog=program, config=(tyro.conf.FlagCreatePairsOff,), use_underscores=True
    )
    try:
        run(parsed)
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"{program}: {error}")
    except BrokenPipeError:
        # The reader (`head`, a pager) has seen enough. Python flushes once more at its end, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _refuse_repetitions(options: type, arguments: Sequence[str], program: str) -> None:
    """Of an option with several values, given twice, tyro would forget the first ones without a word."""
    for name, hint in get_type_hints(options, include_extras=True).items():
        given = sum(word.partition("=")[0] == f"--{name}" for word in arguments)
        if get_origin(hint) is tuple and given > 1:
            fail(program, f"--{name} is given {given} times; name all its values behind one: --{name} A B")
