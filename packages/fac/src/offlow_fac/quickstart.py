"""`fac quickstart`: from nothing to a trained and evaluated agent, in the commands that one would type."""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from offlow_core.training.command_line import ParsedCommand

DATASET = "cube-single-play"
TASK = "cube-single-play-singletask-v0"
EPISODES = 40

# Networks and step sizes that learn within minutes on two cores; everything else as published.
SETTINGS = [
    "--preset=paper",
    "--agent.actor_hidden_dims=128,128",
    "--agent.value_hidden_dims=128,128",
    "--agent.bc_hidden_dims=64,64",
    "--agent.lr=1e-3",
    "--agent.lr_bc=1e-3",
    "--bc_steps=10000",
    "--offline_steps=30000",
    "--log_interval=3000",
    "--eval_interval=15000",
    "--eval_episodes=20",
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
