"""Speed of Diffusion-QL: a plain training loop beside the package's, eager, compiled and, on a GPU, as CUDA graphs.

    uv run --package offlow-diffusion-ql python benchmarks/diffusion_ql.py --out benchmarks/results/diffusion-ql-cpu

The plain loop is the shape that research code usually has (`offlow_diffusion_ql.testing.plain`): one module per head,
losses read at every update, one tensor at a time in optimizer and averages, gradients through the Bellman target. A
test holds both equal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from measure import Run, describe_machine
from torch_loops import measure_loops, report, write

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.torch.device import configure, describe
from offlow_core.torch.device_data import Sampler, to_device
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.learner import make_agent
from offlow_diffusion_ql.testing.plain import PlainDiffusionQl

OBSERVATION_DIM, ACTION_DIM = 17, 6
TRANSITIONS = 100_000
PACKAGES = ("offlow-core", "offlow-diffusion-ql", "torch", "numpy")
CASES = {
    "Diffusion-QL": DiffusionQlConfig(),
    "Diffusion-QL, max-Q backup": DiffusionQlConfig(max_q_backup=True),
    "flow": DiffusionQlConfig(policy="flow"),
}


@dataclass(frozen=True)
class Options:
    """What to measure."""

    device: str = "auto"
    """As in training."""
    repeats: int = 7
    """Measurements of each loop; they take turns."""
    seconds: float = 3.0
    """Length of one measurement."""
    out: Path | None = None
    """Where to write the table (.md) and the numbers (.json)."""


def make_transitions() -> Transitions:
    """Random numbers in the shape of a locomotion task."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(TRANSITIONS + 1, OBSERVATION_DIM)).astype(np.float32)
    actions = rng.uniform(-1, 1, (TRANSITIONS, ACTION_DIM)).astype(np.float32)
    ends = np.arange(TRANSITIONS) % 1000 == 999
    return Transitions.from_arrays(states[:-1], actions, rng.normal(size=TRANSITIONS), 1 - ends, ends, states[1:])


def plain_loop(config: DiffusionQlConfig, train: Transitions, device: torch.device) -> Run:
    """The plain loop."""
    agent = PlainDiffusionQl(config, OBSERVATION_DIM, ACTION_DIM, device)
    draws = make_agent(config, (OBSERVATION_DIM,), ACTION_DIM, seed=0, device=device)
    data, sampler = to_device(train, device), Sampler()
    generator = torch.Generator(device).manual_seed(0)

    def run(updates: int) -> None:
        for _ in range(updates):
            batch = sampler.sample(data, generator, config.batch_size)
            agent.update(batch, draws.draw_noise(generator))

    return run


def package_loop(config: DiffusionQlConfig, train: Transitions, device: torch.device, **how: bool) -> Run:
    """The package's learner, as training runs it."""
    agent = make_agent(
        config, (OBSERVATION_DIM,), ACTION_DIM, seed=0, device=device, compiled=how.get("compiled", False)
    )
    learner = TorchLearner(
        [agent],
        [0],
        [Phase("offline", 0, 10**9)],
        Dataset(train, None, {}),
        Sampler(),
        batch_size=config.batch_size,
        device=device,
        record=how.get("record", False),
    )
    done = 0

    def run(updates: int) -> None:
        nonlocal done
        learner.advance(done, updates)
        done += updates

    return run


def loops(config: DiffusionQlConfig, train: Transitions, device: torch.device) -> dict[str, Callable[[], Run]]:
    """Ways to make the same updates, by name; the first is what the others are compared with."""
    found: dict[str, Callable[[], Run]] = {
        "plain": lambda: plain_loop(config, train, device),
        "eager": lambda: package_loop(config, train, device),
        "compiled": lambda: package_loop(config, train, device, compiled=True),
    }
    if device.type == "cuda":
        found["graph"] = lambda: package_loop(config, train, device, record=True)
        found["compiled, graph"] = lambda: package_loop(config, train, device, compiled=True, record=True)
    return found


def main(options: Options) -> None:
    device = configure(options.device)
    machine = describe_machine(PACKAGES, describe(device))
    train = make_transitions()
    how = {"seconds": options.seconds, "repeats": options.repeats}
    rows = [row for name in CASES for row in measure_loops(name, loops(CASES[name], train, device), **how)]
    shape = f"Observations {OBSERVATION_DIM}, actions {ACTION_DIM}, batch 256, T = 5"
    write(options.out, report(rows, machine, shape), rows, machine)


if __name__ == "__main__":
    main(tyro.cli(Options))
