"""`dac bandit`: the bandit from the command line."""

import sys
from collections.abc import Sequence

from offlow_core.training.command_line import read_record
from offlow_dac.bandit.options import BanditOptions

PROGRAM = "dac bandit"
DESCRIPTION = (
    "Train diffusion behaviour cloning and DAC with hard, denoised and soft guidance on the paper's two-dimensional "
    "bandit, and draw where their actions go: four sets of data, whose best reward lies beside them. Writes a PDF, a "
    "PNG and a CSV of each. Defaults are the published settings."
)


def bandit_command(argv: Sequence[str]) -> int:
    """`dac bandit OPTIONS`; the exit status."""
    options = read_record(argv, BanditOptions, program=PROGRAM, description=DESCRIPTION)
    # JAX takes seconds to import: only when it is needed.
    from offlow_core.jax.device import configure, describe_device
    from offlow_dac.bandit.experiment import run

    configure(options.gpu)
    print(f"{options.updates:,} updates of each method, on {describe_device()}", file=sys.stderr)
    run(options)
    return 0
