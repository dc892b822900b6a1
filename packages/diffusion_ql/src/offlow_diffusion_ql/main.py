"""The command `diffusion-ql`: options -> suite -> agent -> loop."""

import sys
from collections.abc import Sequence
from typing import Any

from offlow_core.training.algorithms import Algorithm
from offlow_core.training.command_line import ParsedCommand, parse, run_program
from offlow_core.training.option_json import to_text
from offlow_diffusion_ql.config import VARIANTS, DiffusionQlOptions
from offlow_diffusion_ql.presets import preset

PROGRAM = "diffusion-ql"
PACKAGES = ("offlow-core", "offlow-diffusion-ql", "torch", "numpy", "gymnasium", "mujoco", "ogbench")


def main(argv: Sequence[str] | None = None) -> int:
    """Train (`diffusion-ql OPTIONS`), `evaluate RUN`, `import FOLDER` or `toy`; the exit status."""
    commands = {"evaluate": evaluate, "import": import_, "toy": toy}
    return run_program(argv, program=PROGRAM, train=train, commands=commands)


def read(argv: Sequence[str]) -> ParsedCommand[DiffusionQlOptions]:
    """The training command; a wrong one, or --help, ends the program."""
    return parse(argv, program=PROGRAM, variants=VARIANTS, default_variant="diffusion_ql", preset=preset)


def train(argv: Sequence[str]) -> int:
    """`diffusion-ql OPTIONS`."""
    command = read(argv)
    if command.print_config:
        print(to_text(command.options))
        return 0
    # PyTorch and the environments take seconds to import: only when they are needed.
    from offlow_core.training.session import Program, run_training
    from offlow_diffusion_ql.learner import make_learner
    from offlow_diffusion_ql.model_selection import PublishedSelection

    return run_training(command, Program(PROGRAM, VARIANTS, make_learner, PACKAGES, selection=PublishedSelection))


def evaluate(argv: Sequence[str]) -> int:
    """`diffusion-ql evaluate RUN OPTIONS`."""
    from offlow_core.training.saved_run import evaluate_command

    return evaluate_command(argv, ALGORITHM)


def load_policy(*arguments: Any) -> Any:
    """What `offlow_diffusion_ql.saved_policy` loads, which takes seconds to import."""
    from offlow_diffusion_ql.saved_policy import load_policy

    return load_policy(*arguments)


ALGORITHM = Algorithm(PROGRAM, VARIANTS, load_policy)


def import_(argv: Sequence[str]) -> int:
    """`diffusion-ql import FOLDER OPTIONS`."""
    from offlow_diffusion_ql.importing import import_command

    return import_command(argv)


def toy(argv: Sequence[str]) -> int:
    """`diffusion-ql toy OPTIONS`."""
    from offlow_diffusion_ql.toy.command import toy_command

    return toy_command(argv)


if __name__ == "__main__":
    sys.exit(main())
