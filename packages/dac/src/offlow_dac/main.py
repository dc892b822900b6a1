"""The command `dac`: options -> suite -> agent -> loop."""

import sys
from collections.abc import Sequence
from typing import Any

from offlow_core.training.algorithms import Algorithm
from offlow_core.training.command_line import ParsedCommand, parse, run_program
from offlow_core.training.option_json import to_text
from offlow_dac.options import VARIANTS, DacOptions
from offlow_dac.presets import preset

PROGRAM = "dac"
PACKAGES = ("offlow-core", "offlow-dac", "jax", "jaxlib", "optax", "numpy", "gymnasium", "mujoco", "ogbench")


def main(argv: Sequence[str] | None = None) -> int:
    """Train DAC or clone by diffusion (`dac OPTIONS`), or a subcommand such as `dac evaluate RUN`; the status."""
    commands = {"evaluate": evaluate, "results": results, "curves": curves, "bandit": bandit}
    return run_program(argv, program=PROGRAM, train=train, commands=commands)


def read(argv: Sequence[str]) -> ParsedCommand[DacOptions]:
    """The training command; a wrong one, or --help, ends the program."""
    return parse(argv, program=PROGRAM, variants=VARIANTS, default_variant="dac", preset=preset)


def train(argv: Sequence[str]) -> int:
    """`dac OPTIONS`."""
    command = read(argv)
    if command.print_config:
        print(to_text(command.options))
        return 0
    # JAX and the environments take seconds to import: only when they are needed.
    from offlow_core.jax.device import configure
    from offlow_core.training.session import Program, run_training
    from offlow_dac.agents import make_learner
    from offlow_dac.results.folder import conclude

    configure(command.options.gpu)
    return run_training(command, Program(PROGRAM, VARIANTS, make_learner, PACKAGES, conclude=conclude))


def evaluate(argv: Sequence[str]) -> int:
    """`dac evaluate RUN OPTIONS`."""
    from offlow_core.training.saved_run import evaluate_command

    return evaluate_command(argv, ALGORITHM)


def load_policy(*arguments: Any) -> Any:
    """What `offlow_dac.saved_policy` loads, which takes seconds to import."""
    from offlow_core.jax.device import configure
    from offlow_dac.saved_policy import load_policy

    configure()
    return load_policy(*arguments)


ALGORITHM = Algorithm(PROGRAM, VARIANTS, load_policy)


def results(argv: Sequence[str]) -> int:
    """`dac results RUN...`"""
    from offlow_dac.results.command import results_command

    return results_command(argv)


def curves(argv: Sequence[str]) -> int:
    """`dac curves FOLDER...`"""
    from offlow_dac.results.command import curves_command

    return curves_command(argv)


def bandit(argv: Sequence[str]) -> int:
    """`dac bandit OPTIONS`."""
    from offlow_dac.bandit.command import bandit_command

    return bandit_command(argv)


if __name__ == "__main__":
    sys.exit(main())
