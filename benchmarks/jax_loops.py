"""JAX training loops side by side: a dispatch per update over data on the host, a compiled block on the device."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from measure import Run, Timing, describe_machine, interleaved, markdown_table, median_ratio, time_of
from measure_jax import matrix_peak, product_flops

from offlow_core.data.transitions import Transitions
from offlow_core.jax.device import describe_device
from offlow_core.jax.device_data import Sampler, to_device
from offlow_core.jax.updates import Update, build_block

Size = Literal["paper", "small"]
WIDTHS: dict[Size, tuple[int, ...]] = {"paper": (512,) * 4, "small": (64,) * 2}
TRANSITIONS = 100_000
EPISODE_STEPS = 1000
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One line of the table: the same updates in both forms, of one or several seeds.

    `plain_update(state, batch)` draws its own noise, `update(state, batch, key)` is a learner's.
    """

    name: str
    plain_states: Sequence[Any]
    plain_update: Callable[[Any, Arrays], tuple]
    states: Sequence[Any]
    update: Update
    batch_size: int
    columns: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """One way to train: what runs it, how long it took to compile, operations in one update's matrix products."""

    run: Run
    compile_s: float
    flops: float


def make_transitions(observation_dim: int, action_dim: int) -> Transitions:
    """Random transitions with rewards in [-1, 0]."""
    rng = np.random.default_rng(0)
    rows = np.arange(TRANSITIONS, dtype=np.int32)
    return Transitions(
        observations=rng.standard_normal((TRANSITIONS + 1, observation_dim), np.float32),
        rows=rows,
        next_rows=rows + 1,
        actions=rng.uniform(-1, 1, (TRANSITIONS, action_dim)).astype(np.float32),
        rewards=-rng.random(TRANSITIONS, np.float32),
        masks=np.ones(TRANSITIONS, np.float32),
        terminals=(rows % EPISODE_STEPS == EPISODE_STEPS - 1).astype(np.float32),
    )


def naive_program(case: Case, transitions: Transitions) -> Program:
    """One dispatch per seed and update, with a batch gathered by numpy from whole arrays."""
    arrays = {**transitions.gather(np.arange(len(transitions))), **case.columns}
    rng = np.random.default_rng(0)

    def sample() -> Arrays:
        indices = rng.integers(len(transitions), size=case.batch_size)
        return {name: values[indices] for name, values in arrays.items()}

    states, jitted = list(case.plain_states), jax.jit(case.plain_update)
    compile_s = time_of(lambda: jax.block_until_ready(jitted(states[0], sample()))).wall_s

    def run(steps: int) -> None:
        for _ in range(steps):
            for i, state in enumerate(states):
                states[i], metrics = jitted(state, sample())
        jax.block_until_ready((states, metrics))

    return Program(run, compile_s, len(states) * product_flops(case.plain_update, states[0], sample()))


def block_program(case: Case, transitions: Transitions) -> Program:
    """One compiled block of updates over data on the device."""
    data = to_device(transitions)
    seeds = len(case.states)
    columns = {name: jnp.stack([jnp.asarray(values)] * seeds) for name, values in case.columns.items()}
    keys = jax.random.split(jax.random.key(1), (2, seeds))
    block = build_block(case.update, Sampler(), case.batch_size, num_seeds=seeds)
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *case.states)

    def run(steps: int) -> None:
        nonlocal state
        state, metrics = block(state, columns, *keys, data, 0, steps)
        jax.block_until_ready((state, metrics))

    compile_s = time_of(partial(run, 1)).wall_s
    batch = Sampler().gather(data, jnp.arange(case.batch_size), {name: values[0] for name, values in columns.items()})
    flops = product_flops(lambda *inputs: case.update(*inputs)[0], case.states[0], batch, jax.random.key(0))
    return Program(run, compile_s, seeds * flops)


def measure_case(case: Case, transitions: Transitions, seconds: float, repeats: int, peak: Timing) -> dict[str, Any]:
    """Both programs side by side; the numbers of the naive loop come first."""
    programs = [make(case, transitions) for make in (naive_program, block_program)]
    timings = interleaved([program.run for program in programs], seconds, repeats)
    found: dict[str, Any] = {
        "case": case.name,
        "gflop": [program.flops / 1e9 for program in programs],
        "compile_s": [program.compile_s for program in programs],
    }
    for clock in ("wall_s", "cpu_s"):
        times = [[getattr(timing, clock) for timing in of_program] for of_program in timings]
        medians = [statistics.median(values) for values in times]
        best = getattr(peak, clock)
        found[clock] = {
            "per_update": medians,
            "ratio": median_ratio(*times),
            "share_of_peak": [p.flops * best / median for p, median in zip(programs, medians, strict=True)],
            "all": times,
        }
    return found


def speed_row(found: dict[str, Any]) -> dict[str, str]:
    """One line of the table."""
    wall, cpu = found["wall_s"], found["cpu_s"]
    return {
        "naive, block": found["case"],
        "updates/s": _pair("{:.1f}", [1 / seconds for seconds in wall["per_update"]]),
        "ratio": f"{wall['ratio']:.2f}",
        "share of peak": _pair("{:.0%}", wall["share_of_peak"]),
        "CPU ms per update": _pair("{:.1f}", [1e3 * seconds for seconds in cpu["per_update"]]),
        "CPU ratio": f"{cpu['ratio']:.2f}",
        "CPU share of peak": _pair("{:.0%}", cpu["share_of_peak"]),
        "GFLOP per update": _pair("{:.2f}", found["gflop"]),
        "compile s": _pair("{:.0f}", found["compile_s"]),
    }


def _pair(form: str, values: Sequence[float]) -> str:
    return ", ".join(form.format(value) for value in values)


@dataclass(frozen=True)
class SpeedReport:
    """What was measured, with what is needed to read it."""

    machine: dict[str, Any]
    peak: dict[str, Timing]
    sizes: str
    measured: list[dict[str, Any]]

    @classmethod
    def measure(
        cls,
        cases: Sequence[Callable[[], Case]],
        packages: Sequence[str],
        dims: tuple[int, int],
        *,
        seconds: float,
        repeats: int,
    ) -> "SpeedReport":
        """Measure the cases one after the other, on random transitions of these observations and actions."""
        machine = describe_machine(packages, describe_device())
        peak = matrix_peak(min(2.0, seconds))
        transitions, measured = make_transitions(*dims), []
        for make in cases:
            started = time.perf_counter()
            measured.append(measure_case(make(), transitions, seconds, repeats, peak["best"]))
            print(f"{measured[-1]['case']}: {time.perf_counter() - started:.0f} s", flush=True)
        return cls(machine, peak, f"Observations {dims[0]}, actions {dims[1]}", measured)

    def markdown(self, remark: str = "") -> str:
        """The table, then what is needed to read it."""
        rates = ", ".join(
            f"{1e-9 / best.wall_s:.0f} ({1e-9 / best.cpu_s:.0f}) for {shape}"
            for shape, best in self.peak.items()
            if shape != "best"
        )
        machine = self.machine
        versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
        load = " ".join(f"{value}" for value in machine["load_average"])
        return "\n".join(
            [
                markdown_table([speed_row(found) for found in self.measured]),
                "",
                *([remark] if remark else []),
                f"{self.sizes}; runs interleaved, medians. The CPU columns count processor time, on which other "
                "programs have less influence, not none.",
                f"Best float32 matrix products, GFLOP per second (per CPU second): {rates}. Shares are of the best of "
                "these; GFLOP are those of the matrix products, counted in the traced program with loops multiplied "
                "out.",
                "",
                f"{machine['cpu']}, {machine['cores']} cores ({machine['device']}), load average {load} at the start, "
                f"{machine['date']}; Python {machine['python']}, {versions}.",
                "",
                f"`{machine['command']}`",
            ]
        )

    def write(self, out: Path, text: str, **more: Any) -> None:
        """<out>.md and <out>.json."""
        out.parent.mkdir(parents=True, exist_ok=True)
        shortest = {shape: asdict(best) for shape, best in self.peak.items()}
        record = {"machine": self.machine, "peak_per_operation": shortest, "updates": self.measured, **more}
        out.with_suffix(".md").write_text(f"{text}\n")
        out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
