"""Speed of FAC and FQL: the naive training loop beside the compiled block, and serial beside batched evaluation.

    uv run --package offlow-fac python benchmarks/fac.py --out results/speed

The naive loop is the shape that research code usually has: one dispatch per update, a numpy gather per batch on the
host, the mathematics written plainly (`offlow_fac.testing`), metrics at every update. Both do the same updates; a test
holds them equal.
"""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro
from jax_loops import TRANSITIONS, WIDTHS, Arrays, Case, Size, SpeedReport
from measure import median_ratio, time_of

from offlow_core.evaluation import Evaluator
from offlow_core.jax.device import configure
from offlow_core.suites import resolve
from offlow_fac.config import FacConfig, FqlConfig
from offlow_fac.fac import Fac
from offlow_fac.fql import Fql
from offlow_fac.testing import plain_fac, plain_fql

OBSERVATION_DIM, ACTION_DIM, BATCH_SIZE = 29, 8, 256
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


def make_case(agent: str, size: Size) -> Case:
    """One agent of one size."""
    widths, key = WIDTHS[size], jax.random.key(0)
    name = f"{'FAC actor-critic' if agent == 'fac' else 'FQL'}, {len(widths)}x{widths[0]}"
    if agent == "fql":
        fql = Fql(FqlConfig(actor_hidden_dims=widths, value_hidden_dims=widths), (OBSERVATION_DIM,), ACTION_DIM)
        return _case(name, fql, plain_fql, fql.update, fql.draw_noise, fql.init(key), {})
    config = FacConfig(actor_hidden_dims=widths, value_hidden_dims=widths, bc_hidden_dims=widths)
    fac = Fac(config, (OBSERVATION_DIM,), ACTION_DIM)
    draw_noise = fac.draw_actor_critic_noise
    return _case(name, fac, plain_fac, fac.update_actor_critic, draw_noise, fac.init(key), random_densities())


def _case(
    name: str, agent: Fac | Fql, plain: Any, update: Callable, draw_noise: Callable, state: Any, columns: Arrays
) -> Case:
    return Case(
        name,
        [plain.plain_state(state, agent.config, jax.random.key(1))],
        partial(plain.update, config=agent.config),
        [state],
        lambda state, batch, key: update(state, batch, draw_noise(key, BATCH_SIZE)),
        BATCH_SIZE,
        columns,
    )


def random_densities() -> Arrays:
    """What FAC would have found for the transitions."""
    densities = np.random.default_rng(1).standard_normal(TRANSITIONS, np.float32)
    return {"estimated_logp": densities, "estimated_logp_min": np.full_like(densities, densities.min())}


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


def main(options: Options) -> None:
    configure()
    if options.quick:
        options = Options(**{**asdict(options), "repeats": 3, "seconds": 0.5, "episodes": min(2, options.episodes)})
    cases = [partial(make_case, agent, size) for size in options.sizes for agent in options.agents]
    report = SpeedReport.measure(
        cases, PACKAGES, (OBSERVATION_DIM, ACTION_DIM), seconds=options.seconds, repeats=options.repeats
    )
    evaluation = measure_evaluation(options.episodes, 3) if options.episodes else None
    remark = f"Batch {BATCH_SIZE}."
    if evaluation is not None:
        remark += (
            f" Evaluation of {options.episodes} episodes of {EVALUATION_TASK}: {evaluation['serial_s']:.1f} s one by "
            f"one, {evaluation['batched_s']:.1f} s batched ({evaluation['ratio']:.2f}x)."
        )
    text = report.markdown(remark)
    print(f"\n{text}")
    if options.out is not None:
        report.write(options.out, text, evaluation=evaluation)


if __name__ == "__main__":
    main(tyro.cli(Options))
