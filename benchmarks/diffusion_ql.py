"""Speed of Diffusion-QL: a plain training loop beside the package's, eager, compiled and, on a GPU, as CUDA graphs.

    uv run --package offlow-diffusion-ql python benchmarks/diffusion_ql.py --out benchmarks/results/diffusion-ql-cpu

The plain loop is the shape that research code usually has (`offlow_diffusion_ql.testing.plain`): one module per head,
losses read at every update, one tensor at a time in optimizer and averages, gradients through the Bellman target. A
test holds both equal.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from measure import Run, describe_machine, interleaved, markdown_table, median_ratio

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


def measure_case(name: str, options: Options, train: Transitions, device: torch.device) -> list[dict[str, Any]]:
    """Updates per second of every loop, and its ratio to the first."""
    runs, first_s = {}, {}
    for loop, make in loops(CASES[name], train, device).items():
        start_s = time.perf_counter()
        runs[loop] = make()
        runs[loop](1)
        first_s[loop] = time.perf_counter() - start_s
    timings = interleaved(list(runs.values()), options.seconds, options.repeats)
    walls = [[timing.wall_s for timing in found] for found in timings]
    return [
        {
            "case": name,
            "loop": loop,
            "updates_per_s": 1 / statistics.median(wall),
            "ratio": median_ratio(walls[0], wall),
            "first_update_s": first_s[loop],
            "seconds_per_update": wall,
        }
        for loop, wall in zip(runs, walls, strict=True)
    ]


def report(rows: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """The table and what it was measured with, in Markdown."""
    table = [
        {
            "update": row["case"],
            "loop": row["loop"],
            "updates/s": f"{row['updates_per_s']:.1f}",
            "ratio": f"{row['ratio']:.2f}",
            "first update s": f"{row['first_update_s']:.1f}",
        }
        for row in rows
    ]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    shape = f"Observations {OBSERVATION_DIM}, actions {ACTION_DIM}, batch 256, T = 5; loops interleaved, medians."
    where = f"{machine['cpu']}, {machine['cores']} cores ({machine['device']}), load average {machine['load_average']}"
    when = f"{machine['date']}; Python {machine['python']}, {versions}."
    return "\n".join(
        [markdown_table(table), "", shape, "", f"{where} at the start, {when}", "", f"`{machine['command']}`"]
    )


def main(options: Options) -> None:
    device = configure(options.device)
    machine = describe_machine(PACKAGES, describe(device))
    train = make_transitions()
    rows = [row for name in CASES for row in measure_case(name, options, train, device)]
    text = report(rows, machine)
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.with_suffix(".md").write_text(f"{text}\n")
        options.out.with_suffix(".json").write_text(json.dumps({"machine": machine, "updates": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
