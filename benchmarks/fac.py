"""Speed of FAC and FQL: the naive training loop beside the compiled block, and serial beside batched evaluation.

    uv run --package offlow-fac python benchmarks/fac.py --out results/speed

The naive loop is the shape that research code usually has: one dispatch per update, a numpy gather per batch on the
host, the mathematics written plainly (`offlow_fac.testing`), metrics at every update. Both do the same updates; a test
holds them equal.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from measure import (
    Run,
    Timing,
    describe_machine,
    interleaved,
    markdown_table,
    median_ratio,
    time_of,
)
from measure_jax import matrix_peak, product_flops

from offlow_core.data.transitions import Transitions
from offlow_core.evaluation import Evaluator
from offlow_core.jax.device import configure, describe_device
from offlow_core.jax.device_data import Sampler, to_device
from offlow_core.jax.updates import build_block
from offlow_core.suites import resolve
from offlow_fac.config import FacConfig, FqlConfig
from offlow_fac.fac import Fac
from offlow_fac.fql import Fql
from offlow_fac.testing import plain_fac, plain_fql

Size = Literal["paper", "small"]

OBSERVATION_DIM, ACTION_DIM, BATCH_SIZE = 29, 8, 256
WIDTHS: dict[Size, tuple[int, ...]] = {"paper": (512,) * 4, "small": (64,) * 2}
TRANSITIONS = 100_000
EPISODE_STEPS = 1000
EVALUATION_TASK = "cube-single-play-singletask-v0"
PACKAGES = ("offlow-core", "offlow-fac", "jax", "jaxlib", "optax", "numpy", "mujoco", "ogbench")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    sizes: tuple[Size, ...] = ("paper", "small")
    """Network widths: paper is 4x512, small is 2x64."""
    agents: tuple[Literal["fql", "fac"], ...] = ("fql", "fac")
    """fql, and the actor-critic update of fac with exact divergences."""
    repeats: int = 7
    """Pairs of measurements per line; the median over pairs counts."""
    seconds: float = 5.0
    """Length of one measurement."""
    quick: bool = False
    """Three short pairs per line and two episodes: shows that all runs, measures little."""
    episodes: int = 20
    """Episodes per evaluation; 0 leaves evaluation out."""
    out: Path | None = None
    """Also write <out>.md and <out>.json."""


@dataclass(frozen=True)
class Case:
    """One line of the table: an agent of one size."""

    agent: Fac | Fql
    size: Size

    @property
    def name(self) -> str:
        label = "FAC actor-critic" if isinstance(self.agent, Fac) else "FQL"
        widths = WIDTHS[self.size]
        return f"{label}, {len(widths)}x{widths[0]}"


@dataclass(frozen=True)
class Program:
    """One way to train: what runs it, how long it took to compile, operations in one update's matrix products."""

    run: Run
    compile_s: float
    flops: float


def make_case(agent: str, size: Size) -> Case:
    widths = WIDTHS[size]
    if agent == "fac":
        config = FacConfig(actor_hidden_dims=widths, value_hidden_dims=widths, bc_hidden_dims=widths)
        return Case(Fac(config, (OBSERVATION_DIM,), ACTION_DIM), size)
    config = FqlConfig(actor_hidden_dims=widths, value_hidden_dims=widths)
    return Case(Fql(config, (OBSERVATION_DIM,), ACTION_DIM), size)


def make_transitions() -> tuple[Transitions, dict[str, np.ndarray]]:
    """Random transitions, and the log-densities that FAC would have found for them."""
    rng = np.random.default_rng(0)
    rows = np.arange(TRANSITIONS, dtype=np.int32)
    transitions = Transitions(
        observations=rng.standard_normal((TRANSITIONS + 1, OBSERVATION_DIM), np.float32),
        rows=rows,
        next_rows=rows + 1,
        actions=rng.uniform(-1, 1, (TRANSITIONS, ACTION_DIM)).astype(np.float32),
        rewards=rng.standard_normal(TRANSITIONS, np.float32),
        masks=np.ones(TRANSITIONS, np.float32),
        terminals=(rows % EPISODE_STEPS == EPISODE_STEPS - 1).astype(np.float32),
    )
    densities = rng.standard_normal(TRANSITIONS, np.float32)
    return transitions, {"estimated_logp": densities, "estimated_logp_min": np.full_like(densities, densities.min())}


def naive_program(case: Case, transitions: Transitions, densities: dict[str, np.ndarray]) -> Program:
    """One dispatch per update, with a batch gathered by numpy from whole arrays."""
    plain = plain_fac if isinstance(case.agent, Fac) else plain_fql
    arrays = {**transitions.gather(np.arange(len(transitions))), **densities}
    rng = np.random.default_rng(0)

    def sample() -> dict[str, np.ndarray]:
        indices = rng.integers(len(transitions), size=BATCH_SIZE)
        return {name: values[indices] for name, values in arrays.items()}

    state = plain.plain_state(case.agent.init(jax.random.key(0)), case.agent.config, jax.random.key(1))
    update = partial(plain.update, config=case.agent.config)
    jitted = jax.jit(update)
    compile_s = time_of(lambda: jax.block_until_ready(jitted(state, sample()))).wall_s

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state, metrics = jitted(state, sample())
        jax.block_until_ready((state, metrics))

    return Program(run, compile_s, product_flops(update, state, sample()))


def block_program(case: Case, transitions: Transitions, densities: dict[str, np.ndarray]) -> Program:
    """One compiled block of updates over data on the device."""
    agent = case.agent
    draw_noise = agent.draw_actor_critic_noise if isinstance(agent, Fac) else agent.draw_noise
    step = agent.update_actor_critic if isinstance(agent, Fac) else agent.update

    def update(state: Any, batch: dict[str, jax.Array], key: jax.Array) -> tuple:
        return step(state, batch, draw_noise(key, BATCH_SIZE))

    data = to_device(transitions)
    columns = {name: jnp.asarray(values)[None] for name, values in densities.items()}
    keys = jax.random.split(jax.random.key(1), 2)[:, None]
    block = build_block(update, Sampler(), BATCH_SIZE, num_seeds=1)
    state = jax.tree.map(lambda leaf: leaf[None], agent.init(jax.random.key(0)))

    def run(steps: int) -> None:
        nonlocal state
        state, metrics = block(state, columns, *keys, data, 0, steps)
        jax.block_until_ready((state, metrics))

    compile_s = time_of(partial(run, 1)).wall_s
    one = jax.tree.map(lambda leaf: leaf[0], state)
    batch = Sampler().gather(data, jnp.arange(BATCH_SIZE), {name: values[0] for name, values in columns.items()})
    return Program(run, compile_s, product_flops(lambda *inputs: update(*inputs)[0], one, batch, jax.random.key(0)))


def measure_case(case: Case, options: Options, peak: Timing) -> dict[str, Any]:
    """Both programs side by side; the numbers of the naive loop come first."""
    transitions, densities = make_transitions()
    programs = [make(case, transitions, densities) for make in (naive_program, block_program)]
    timings = interleaved([program.run for program in programs], options.seconds, options.repeats)
    found: dict[str, Any] = {
        "case": case.name,
        "gflop": [program.flops / 1e9 for program in programs],
        "compile_s": [program.compile_s for program in programs],
    }
    for clock in ("wall_s", "cpu_s"):
        seconds = [[getattr(timing, clock) for timing in of_program] for of_program in timings]
        medians = [statistics.median(values) for values in seconds]
        best = getattr(peak, clock)
        found[clock] = {
            "per_update": medians,
            "ratio": median_ratio(*seconds),
            "share_of_peak": [p.flops * best / median for p, median in zip(programs, medians, strict=True)],
            "all": seconds,
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


def fresh_policy(environment_factory: Callable) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """An untrained FQL policy of paper width for the environment."""
    environment = environment_factory()
    agent = Fql(FqlConfig(), environment.observation_space.shape, environment.action_space.shape[0])
    environment.close()
    params = agent.init(jax.random.key(0)).params

    @jax.jit
    def act(observations: jax.Array, noise_seeds: jax.Array) -> jax.Array:
        keys = jax.random.wrap_key_data(noise_seeds)
        z = jax.vmap(lambda key: jax.random.normal(key, (agent.action_dim,)))(keys)
        return agent.sample_actions(params, observations, z)

    return lambda observations, noise_seeds: np.asarray(act(observations, noise_seeds))


def measure_evaluation(episodes: int, repeats: int) -> dict[str, Any]:
    """Seconds for the same episodes one by one in this process, and many at once in worker processes."""
    factory = resolve(EVALUATION_TASK).make_environment
    policy = fresh_policy(factory)
    seconds: dict[str, list[float]] = {"serial": [], "batched": []}
    with Evaluator(factory, num_envs=1, num_workers=0) as serial, Evaluator(factory, num_envs=episodes) as batched:
        for evaluator in (serial, batched):
            evaluator.evaluate(policy, episodes=episodes if evaluator is batched else 1, seed=1)
        for _ in range(repeats):
            for name, evaluator in (("serial", serial), ("batched", batched)):
                play = partial(evaluator.evaluate, policy, episodes=episodes, seed=0)
                seconds[name].append(time_of(play).wall_s)
    found = {f"{name}_s": statistics.median(values) for name, values in seconds.items()}
    return {**found, "ratio": median_ratio(seconds["serial"], seconds["batched"]), "all_seconds": seconds}


def report(
    measured: Sequence[dict[str, Any]], evaluation: dict | None, peak: dict[str, Timing], machine: dict, episodes: int
) -> str:
    """The Markdown text: the table, then what is needed to read it."""
    lines = [markdown_table([speed_row(found) for found in measured]), ""]
    if evaluation is not None:
        lines.append(
            f"Evaluation of {episodes} episodes of {EVALUATION_TASK}: {evaluation['serial_s']:.1f} s one by one, "
            f"{evaluation['batched_s']:.1f} s batched ({evaluation['ratio']:.2f}x)."
        )
    rates = ", ".join(
        f"{1e-9 / best.wall_s:.0f} ({1e-9 / best.cpu_s:.0f}) for {shape}"
        for shape, best in peak.items()
        if shape != "best"
    )
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    load = " ".join(f"{value}" for value in machine["load_average"])
    return "\n".join(
        [
            *lines,
            "",
            f"Observations {OBSERVATION_DIM}, actions {ACTION_DIM}, batch {BATCH_SIZE}; runs interleaved, medians. The "
            "CPU columns count processor time, on which other programs have less influence, not none.",
            f"Best float32 matrix products, GFLOP per second (per CPU second): {rates}. Shares are of the best of "
            "these; GFLOP are those of the matrix products, counted in the traced program with loops multiplied out.",
            "",
            f"{machine['cpu']}, {machine['cores']} cores ({machine['device']}), load average {load} at the start, "
            f"{machine['date']}; Python {machine['python']}, {versions}.",
            "",
            f"`{machine['command']}`",
        ]
    )


def main(options: Options) -> None:
    configure()
    if options.quick:
        options = Options(**{**asdict(options), "repeats": 3, "seconds": 0.5, "episodes": min(2, options.episodes)})
    machine = describe_machine(PACKAGES, describe_device())
    peak = matrix_peak(0.2 if options.quick else 2.0)
    measured = []
    for size in options.sizes:
        for name in options.agents:
            started = time.perf_counter()
            measured.append(measure_case(make_case(name, size), options, peak["best"]))
            print(f"{measured[-1]['case']}: {time.perf_counter() - started:.0f} s", flush=True)
    evaluation = measure_evaluation(options.episodes, 3) if options.episodes else None
    text = report(measured, evaluation, peak, machine, options.episodes)
    print(f"\n{text}")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        shortest = {shape: asdict(best) for shape, best in peak.items()}
        record = {"machine": machine, "peak_per_operation": shortest, "updates": measured, "evaluation": evaluation}
        options.out.with_suffix(".md").write_text(f"{text}\n")
        options.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
