"""The command `fac`: options -> suite -> agent -> loop."""

import sys
from collections.abc import Sequence

from offlow_core.training.command_line import fail, parse
from offlow_core.training.option_json import to_text
from offlow_fac.config import VARIANTS
from offlow_fac.presets import preset

PROGRAM = "fac"
PACKAGES = ("offlow-core", "offlow-fac", "jax", "jaxlib", "optax", "numpy", "gymnasium", "mujoco", "ogbench")


def main(argv: Sequence[str] | None = None) -> int:
    """Train FAC or FQL, or evaluate a trained run (`fac evaluate RUN`); the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["evaluate"]:
        from offlow_fac.evaluate import main as evaluate

        return evaluate(argv[1:])
    command = parse(argv, program=PROGRAM, variants=VARIANTS, default_variant="fac", preset=preset)
    if command.print_config:
        print(to_text(command.options))
        return 0
    # What follows imports JAX and the environments, which take seconds.
    from offlow_core.jax.device import configure
    from offlow_core.training.session import USER_ERRORS, Program, run_training
    from offlow_fac.agents import make_learner

    try:
        return run_training(command, Program(PROGRAM, VARIANTS, make_learner, configure(), PACKAGES))
    except USER_ERRORS as error:
        fail(PROGRAM, str(error))


if __name__ == "__main__":
    sys.exit(main())
