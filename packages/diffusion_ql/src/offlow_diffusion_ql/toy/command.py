"""`diffusion-ql toy`: the toy experiments from the command line."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from offlow_core.training.command_line import read_record
from offlow_diffusion_ql.toy.options import ToyOptions

PROGRAM = "diffusion-ql toy"
DESCRIPTION = (
    "Train the policies of the paper's two-dimensional bandit and draw their actions: imitation of four corners (MLE, "
    "CVAE, MMD, diffusion, flow), and Q-learning where the right-down corner pays best (TD3+BC, BCQ, BEAR, diffusion, "
    "flow). Writes a PDF, a PNG and a CSV of each. The defaults are the published settings and take some four to "
    "five hours of one CPU core, most of it for the gradient through 50 steps of diffusion and flow. Minutes show much "
    "the same: --figure bc --num_epochs 200 --lr 5e-4, and --figure ql --T 5 --num_epochs 100 --lr 2e-3 "
    "--hidden_dim 64 --eta 1."
)


def toy_command(argv: Sequence[str]) -> int:
    """`diffusion-ql toy OPTIONS`; the exit status."""
    options = read_record(argv, ToyOptions, program=PROGRAM, description=DESCRIPTION)
    # PyTorch takes seconds to import: only when it is needed.
    from offlow_core.torch.device import configure
    from offlow_diffusion_ql.toy.experiment import run_cloning, run_q_learning

    device = configure(options.device)
    with _one_thread():
        print(f"{options.updates:,} updates of each method, on {device}", file=sys.stderr)
        if options.figure in ("bc", "both"):
            run_cloning(options, device)
        if options.figure in ("ql", "both"):
            run_q_learning(options, device)
    return 0


@contextmanager
def _one_thread() -> Generator[None]:
    """Networks this small gain nothing from a second thread, and lose much where another program wants its core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
