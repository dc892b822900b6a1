"""`fac quickstart`: from nothing to a trained and evaluated agent, in the commands that one would type."""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from offlow_core.training.command_line import ParsedCommand

DATASET = "pointmaze-medium-navigate"
TASK = "pointmaze-medium-navigate-singletask-v0"
EPISODES = 100

# Networks, step sizes and penalty that learn this task within minutes on two cores.
SETTINGS = [
    *(f"--agent.{network}_hidden_dims=64,64,64" for network in ("actor", "value", "bc")),
    "--agent.lr=1e-3",
    "--agent.lr_bc=1e-3",
    "--agent.fac_alpha=1.0",
    "--agent.fac_lambda=0.01",
    "--agent.q_agg=mean",
    "--offline_steps=50000",
    "--log_interval=5000",
    "--eval_interval=25000",
    "--eval_episodes=25",
]


def quickstart(
    argv: Sequence[str], train: Callable[[Sequence[str]], int], read: Callable[[Sequence[str]], ParsedCommand]
) -> int:
    """Collect a small dataset, train FAC on it and evaluate it; `argv` are further training options."""
    from offlow_core.command import main as offlow

    folder = Path("runs") / "quickstart"
    data = folder / f"{DATASET}-v0.npz"
    training = [f"--env_name={TASK}", f"--dataset_path={data}", f"--save_dir={folder}", *SETTINGS, *argv]
    if read(training).print_config:
        return train(training)
    if not data.exists():
        collect = ["data", "collect", DATASET, f"--episodes={EPISODES}", f"--out={data}"]
        _announce("1. data from the benchmark's own scripted oracle", "offlow", collect)
        folder.mkdir(parents=True, exist_ok=True)
        offlow(collect)
    _announce("2. behaviour flow, densities, actor-critic; evaluated in the environment", "fac", training)
    return train(training)


def _announce(what: str, program: str, arguments: Sequence[str]) -> None:
    print(f"\n{what}\n  {program} {shlex.join(arguments)}\n", file=sys.stderr, flush=True)
