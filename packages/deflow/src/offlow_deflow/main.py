"""The command `deflow`: options -> suite -> agent -> loop."""

import sys
from collections.abc import Sequence
from typing import Any

from offlow_core.training.algorithms import Algorithm
from offlow_core.training.command_line import ParsedCommand, parse, run_program
from offlow_core.training.option_json import to_text
from offlow_deflow.config import VARIANTS, Options
from offlow_deflow.presets import preset

PROGRAM = "deflow"
PACKAGES = ("offlow-core", "offlow-deflow", "jax", "jaxlib", "optax", "numpy", "gymnasium", "mujoco", "ogbench")


def main(argv: Sequence[str] | None = None) -> int:
    """Train DeFlow, DeFlow-VF or floq (`deflow OPTIONS`), or `deflow evaluate RUN`; the exit status."""
    return run_program(argv, program=PROGRAM, train=train, commands={"evaluate": evaluate})


def read(argv: Sequence[str]) -> ParsedCommand[Options]:
    """The training command; a wrong one, or --help, ends the program."""
    return parse(argv, program=PROGRAM, variants=VARIANTS, default_variant="deflow", preset=preset)


def train(argv: Sequence[str]) -> int:
    """`deflow OPTIONS`."""
    command = read(argv)
    if command.print_config:
        print(to_text(command.options))
        return 0
    # JAX and the environments take seconds to import: only when they are needed.
    from offlow_core.jax.device import configure
    from offlow_core.training.session import Program, run_training
    from offlow_deflow.agents import make_learner
    from offlow_deflow.from_data import from_data

    configure()
    return run_training(command, Program(PROGRAM, VARIANTS, make_learner, PACKAGES, from_data=from_data))


def evaluate(argv: Sequence[str]) -> int:
    """`deflow evaluate RUN OPTIONS`."""
    from offlow_core.training.saved_run import evaluate_command

    return evaluate_command(argv, ALGORITHM)


def load_policy(*arguments: Any) -> Any:
    """What `offlow_deflow.saved_policy` loads, which takes seconds to import."""
    from offlow_core.jax.device import configure
    from offlow_deflow.saved_policy import load_policy

    configure()
    return load_policy(*arguments)


ALGORITHM = Algorithm(PROGRAM, VARIANTS, load_policy)


if __name__ == "__main__":
    sys.exit(main())
