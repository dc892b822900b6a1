"""What the `offlow` commands share: options from words, and errors as one message."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from offlow_core.errors import UserError

T = TypeVar("T")


def run_command(options: type[T], run: Callable[[T], None], arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` into `options` and run; an error that a user can mend ends in one message and status 1."""
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
