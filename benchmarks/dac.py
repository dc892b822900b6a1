"""Speed of DAC: the naive training loop beside the compiled block, for one seed and for several.

    uv run --package offlow-dac python benchmarks/dac.py --out results/speed

The naive loop is the shape that research code usually has: a dispatch per update and seed, a numpy gather per batch on
the host, the mathematics written plainly (`offlow_dac.testing.plain_dac`), metrics at every update. Both do the same
updates; a test holds them equal. With several seeds, an update is one of each.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import jax
import tyro
from jax_loops import Case, SpeedReport

from offlow_core.jax.device import configure
from offlow_dac.config import DacConfig
from offlow_dac.dac import Dac
from offlow_dac.testing import plain_dac

OBSERVATION_DIM, ACTION_DIM = 17, 6
PACKAGES = ("offlow-core", "offlow-dac", "jax", "jaxlib", "optax", "numpy")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    widths: tuple[int, ...] = (256, 64)
    """Of the three hidden layers: 256 is the published width."""
    seeds: tuple[int, ...] = (1, 8)
    """How many agents are trained at once."""
    repeats: int = 7
    """Pairs of measurements per line; the median over pairs counts."""
    seconds: float = 5.0
    """Length of one measurement."""
    quick: bool = False
    """Three short pairs per line: shows that all runs, measures little."""
    out: Path | None = None
    """Also write <out>.md and <out>.json."""


def make_case(width: int, seeds: int) -> Case:
    """Agents with the published 10 critics and 10 samples of next actions."""
    config = DacConfig(hidden_dims=(width,) * 3, eta_lr=0.001, lr_decay_steps=2_000_000)
    agent = Dac(config, OBSERVATION_DIM, ACTION_DIM)
    states = [agent.init(jax.random.key(seed)) for seed in range(seeds)]
    return Case(
        f"DAC, 3x{width}, {seeds} seed{'s' * (seeds > 1)}",
        [plain_dac.PlainState(state, jax.random.key(seed)) for seed, state in enumerate(states)],
        partial(plain_dac.update, agent=agent),
        states,
        lambda state, batch, key: agent.update(state, batch, agent.draw_noise(key, config.batch_size)),
        config.batch_size,
    )


def main(options: Options) -> None:
    configure()
    if options.quick:
        options = Options(**{**asdict(options), "repeats": 3, "seconds": 0.5})
    cases = [partial(make_case, width, seeds) for width in options.widths for seeds in options.seeds]
    dims = (OBSERVATION_DIM, ACTION_DIM)
    report = SpeedReport.measure(cases, PACKAGES, dims, seconds=options.seconds, repeats=options.repeats)
    text = report.markdown("Batch 256, 10 critics, 10 samples of next actions, T = 5.")
    print(f"\n{text}")
    if options.out is not None:
        report.write(options.out, text)


if __name__ == "__main__":
    main(tyro.cli(Options))
