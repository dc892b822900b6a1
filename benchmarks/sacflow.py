"""Speed of SAC Flow: updates, and environment steps of a whole training loop; eager, compiled, as CUDA graphs.

    uv run --package offlow-sacflow python benchmarks/sacflow.py --out benchmarks/results/sacflow-cpu

The critics move in every update from scratch, the policy in every third. The loops train through the package's learner,
as the command does; the one in an environment acts, steps HalfCheetah-v4, stores, samples and updates.
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
from offlow_core.suites import resolve
from offlow_core.suites.from_scratch import no_data
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device import configure, describe
from offlow_core.torch.device_data import Sampler
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase
from offlow_sacflow.chunk.agents import make_chunk_agent
from offlow_sacflow.chunk.config import CHUNK_CONFIGS
from offlow_sacflow.learner import make_learner
from offlow_sacflow.options import VARIANTS
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.config import CONFIGS
from offlow_sacflow.scratch.policy import ActionRange

SCRATCH_DIMS, CHUNK_DIMS = (17, 6), (46, 5)
TRANSITIONS = 100_000
PACKAGES = ("offlow-core", "offlow-sacflow", "torch", "numpy", "gymnasium", "mujoco")
TASK = "HalfCheetah-v4"


@dataclass(frozen=True)
class Options:
    """What to measure."""

    device: str = "auto"
    """As in training."""
    repeats: int = 7
    """Measurements of each loop; they take turns."""
    seconds: float = 3.0
    """Length of one measurement."""
    agents: tuple[str, ...] = (*CONFIGS, *CHUNK_CONFIGS)
    """Which agents."""
    out: Path | None = None
    """Where to write the table (.md) and the numbers (.json)."""


def make_transitions(observation_dim: int, action_dim: int) -> Transitions:
    """Random numbers in the shape of a task."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(TRANSITIONS + 1, observation_dim)).astype(np.float32)
    actions = rng.uniform(-1, 1, (TRANSITIONS, action_dim)).astype(np.float32)
    ends = np.arange(TRANSITIONS) % 1000 == 999
    return Transitions.from_arrays(states[:-1], actions, rng.normal(size=TRANSITIONS), 1 - ends, ends, states[1:])


def update_loop(name: str, device: torch.device, *, compiled: bool = False, record: bool = False) -> Run:
    """Updates of an agent on random transitions."""
    how = {"seed": 0, "device": device, "compiled": compiled}
    if name in CONFIGS:
        observation_dim, action_dim = SCRATCH_DIMS
        bounds = ActionRange.between(-np.ones(action_dim), np.ones(action_dim), device)
        agent, sampler = SacFlow(CONFIGS[name](), observation_dim, bounds, **how), Sampler()
    else:
        observation_dim, action_dim = CHUNK_DIMS
        config = CHUNK_CONFIGS[name]()
        agent = make_chunk_agent(config, (observation_dim,), action_dim, **how)
        sampler = ChunkSampler(config.horizon_length, config.discount)
    return _running(
        TorchLearner(
            [agent],
            [0],
            [Phase("offline", 0, 10**9)],
            Dataset(make_transitions(observation_dim, action_dim), None, {}),
            sampler,
            batch_size=agent.config.batch_size,
            device=device,
            record=record,
        )
    )


def environment_loop(name: str, device: torch.device, *, compiled: bool = False) -> Run:
    """Training from scratch in an environment."""
    how = {"device": str(device), "compile": compiled, "seed": 0}
    options = VARIANTS[name](env_name=TASK, total_timesteps=200_000, learning_starts=1000, **how)
    task = resolve(options.env_name, options.suite)
    learner = make_learner(options, no_data(task), task)
    learner.enter(learner.phases[0])
    learner.advance(0, options.learning_starts + 10)
    return _running(learner, done=options.learning_starts + 10)


def _running(learner: TorchLearner, done: int = 0) -> Run:
    def run(steps: int) -> None:
        nonlocal done
        learner.advance(done, steps)
        done += steps

    return run


def ways(make: Callable[..., Run], name: str, device: torch.device) -> dict[str, Callable[[], Run]]:
    """Eager and compiled; on a GPU compiled means recorded, too, where a command trains."""
    found = {"eager": lambda: make(name, device), "compiled": lambda: make(name, device, compiled=True)}
    if device.type == "cuda" and make is update_loop:
        found["graph"] = lambda: make(name, device, record=True)
        found["compiled, graph"] = lambda: make(name, device, compiled=True, record=True)
    return found


def main(options: Options) -> None:
    device = configure(options.device)
    machine = describe_machine(PACKAGES, describe(device))
    how = {"seconds": options.seconds, "repeats": options.repeats}
    rows = [row for name in options.agents for row in measure_loops(name, ways(update_loop, name, device), **how)]
    for name in options.agents:
        if name in CONFIGS:
            loops = ways(environment_loop, name, device)
            rows += measure_loops(f"{name} in {TASK}", loops, **how, unit="environment steps")
    shape = "From scratch: observations 17, actions 6, batch 512; with chunks: observations 46, actions 5, horizon 5, "
    write(options.out, report(rows, machine, f"{shape}batch 256"), rows, machine)


if __name__ == "__main__":
    main(tyro.cli(Options))
