"""The command `fac`: options -> suite -> agent -> loop."""

import sys
from collections.abc import Sequence
from typing import Any

from offlow_core.training.algorithms import Algorithm
from offlow_core.training.command_line import ParsedCommand, parse, run_program
from offlow_core.training.option_json import to_text
from offlow_fac.config import VARIANTS, FacOptions, FqlOptions
from offlow_fac.presets import preset
from offlow_fac.quickstart import quickstart

PROGRAM = "fac"
PACKAGES = ("offlow-core", "offlow-fac", "jax", "jaxlib", "optax", "numpy", "gymnasium", "mujoco", "ogbench")


def main(argv: Sequence[str] | None = None) -> int:
    """Train FAC or FQL (`fac OPTIONS`), `fac evaluate RUN`, or `fac quickstart`; the exit status."""
    commands = {"evaluate": evaluate, "quickstart": lambda rest: quickstart(rest, train, read)}
    return run_program(argv, program=PROGRAM, train=train, commands=commands)


def read(argv: Sequence[str]) -> ParsedCommand[FacOptions | FqlOptions]:
    """The training command; a wrong one, or --help, ends the program."""
    return parse(argv, program=PROGRAM, variants=VARIANTS, default_variant="fac", preset=preset)


def train(argv: Sequence[str]) -> int:
    """`fac OPTIONS`."""
    command = read(argv)
    if command.print_config:
        print(to_text(command.options))
        return 0
    # JAX and the environments take seconds to import: only when they are needed.
    from offlow_core.jax.device import configure
    from offlow_core.training.session import Program, run_training
    from offlow_fac.agents import make_learner

    configure()
    return run_training(command, Program(PROGRAM, VARIANTS, make_learner, PACKAGES))


def evaluate(argv: Sequence[str]) -> int:
    """`fac evaluate RUN OPTIONS`."""
    from offlow_core.training.saved_run import evaluate_command

    return evaluate_command(argv, ALGORITHM)


def load_policy(*arguments: Any) -> Any:
    """What `offlow_fac.saved_policy` loads, which takes seconds to import."""
    from offlow_core.jax.device import configure
    from offlow_fac.saved_policy import load_policy

    configure()
    return load_policy(*arguments)


ALGORITHM = Algorithm(PROGRAM, VARIANTS, load_policy)


if __name__ == "__main__":
    sys.exit(main())
