"""The command `sacflow`: options -> suite -> agent -> loop."""

import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from offlow_core.training.algorithms import Algorithm
from offlow_core.training.command_line import ParsedCommand, parse, run_program
from offlow_core.training.option_json import to_text
from offlow_sacflow.options import AGENT_FILES, SCRIPTS, VARIANTS, ChunkOptions, ScratchOptions, default_variant
from offlow_sacflow.presets import preset

PROGRAM = "sacflow"
PACKAGES = ("offlow-core", "offlow-sacflow", "torch", "numpy", "gymnasium", "mujoco", "ogbench")


def main(argv: Sequence[str] | None = None) -> int:
    """Train (`sacflow [SCRIPT] OPTIONS`), `evaluate RUN`, `import FILE` or `export RUN FILE`; the exit status."""
    commands = {"evaluate": evaluate, "import": import_, "export": export}
    return run_program(argv, program=PROGRAM, train=train, commands=commands)


def read(argv: Sequence[str]) -> ParsedCommand[ScratchOptions | ChunkOptions]:
    """The training command; a wrong one, or --help, ends the program."""
    script, words = (argv[0], argv[1:]) if argv and PurePath(argv[0]).name in SCRIPTS else (None, argv)
    variant = default_variant(words) if script is None else SCRIPTS[PurePath(script).name]
    return parse(
        argv=_with_own_names(words), program=PROGRAM, variants=VARIANTS, default_variant=variant, preset=preset
    )


def _with_own_names(words: Sequence[str]) -> list[str]:
    """The words, with this package's names for the official files of agents."""
    named = list(words)
    for i, word in enumerate(words):
        if word.startswith("--agent="):
            named[i] = f"--agent={_own_name(word.removeprefix('--agent='))}"
        elif i > 0 and words[i - 1] == "--agent":
            named[i] = _own_name(word)
    return named


def _own_name(agent: str) -> str:
    return AGENT_FILES.get(PurePath(agent.strip("'\"")).stem, agent)


def train(argv: Sequence[str]) -> int:
    """`sacflow [SCRIPT] OPTIONS`."""
    command = read(argv)
    if command.print_config:
        print(to_text(command.options))
        return 0
    # PyTorch and the environments take seconds to import: only when they are needed.
    from offlow_core.training.session import Program, run_training
    from offlow_sacflow.datasets import load_dataset
    from offlow_sacflow.learner import make_learner

    return run_training(command, Program(PROGRAM, VARIANTS, make_learner, PACKAGES, load_dataset=load_dataset))


def evaluate(argv: Sequence[str]) -> int:
    """`sacflow evaluate RUN OPTIONS`."""
    from offlow_core.training.saved_run import evaluate_command

    return evaluate_command(argv, ALGORITHM)


def import_(argv: Sequence[str]) -> int:
    """`sacflow import FILE OPTIONS`."""
    from offlow_sacflow.converting import import_command

    return import_command(argv, read)


def export(argv: Sequence[str]) -> int:
    """`sacflow export RUN FILE`."""
    from offlow_sacflow.converting import export_command

    return export_command(argv)


def load_policy(*arguments: Any) -> Any:
    """What `offlow_sacflow.saved_policy` loads, which takes seconds to import."""
    from offlow_sacflow.saved_policy import load_policy

    return load_policy(*arguments)


ALGORITHM = Algorithm(PROGRAM, VARIANTS, load_policy)


if __name__ == "__main__":
    sys.exit(main())
