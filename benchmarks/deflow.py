"""Speed of DeFlow and DeFlow-VF: the naive training loop beside the compiled block.

    uv run --package offlow-deflow python benchmarks/deflow.py --out results/speed

The naive loop is the shape that research code usually has: one dispatch per update, a numpy gather per batch on the
host, the mathematics written plainly (`offlow_deflow.testing`), metrics at every update. Both do the same updates; a
test holds them equal.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import tyro
from jax_loops import WIDTHS, Case, Size, SpeedReport

from offlow_core.jax.device import configure
from offlow_core.jax.joint_training import JointAgent
from offlow_deflow.config import DeFlowConfig, DeFlowVfConfig
from offlow_deflow.deflow import DeFlow
from offlow_deflow.deflow_vf import DeFlowVf
from offlow_deflow.testing import plain_deflow, plain_return_flow

OBSERVATION_DIM, ACTION_DIM, BATCH_SIZE = 37, 5, 256
PACKAGES = ("offlow-core", "offlow-deflow", "jax", "jaxlib", "optax", "numpy")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    sizes: tuple[Size, ...] = ("paper", "small")
    """Network widths: paper is 4x512, small is 2x64."""
    agents: tuple[Literal["deflow", "deflowvf"], ...] = ("deflow", "deflowvf")
    """Which agents."""
    repeats: int = 7
    """Pairs of measurements per line; the median over pairs counts."""
    seconds: float = 5.0
    """Length of one measurement."""
    quick: bool = False
    """Three short pairs per line: shows that all runs, measures little."""
    out: Path | None = None
    """Also write <out>.md and <out>.json."""


def make_case(agent: str, size: Size) -> Case:
    """One agent of one size."""
    widths = WIDTHS[size]
    name = f"{'DeFlow' if agent == 'deflow' else 'DeFlow-VF'}, {len(widths)}x{widths[0]}"
    shapes = ((OBSERVATION_DIM,), ACTION_DIM)
    hidden = {"actor_hidden_dims": widths, "value_hidden_dims": widths}
    if agent == "deflow":
        deflow = DeFlow(DeFlowConfig(**hidden), *shapes)
        return _case(name, deflow, plain_deflow.plain_state, plain_deflow.update)
    blocks = {"block_width": widths[0], "block_depth": len(widths), "r_min": -1.0, "r_max": 0.0}
    vf = DeFlowVf(DeFlowVfConfig(**hidden, **blocks), *shapes)
    return _case(name, vf, plain_return_flow.plain_state, plain_return_flow.update_vf)


def _case(name: str, agent: JointAgent, plain_state, plain_update) -> Case:
    state = agent.init(jax.random.key(0))
    return Case(
        name,
        [plain_state(state, agent.config, jax.random.key(1))],
        partial(plain_update, config=agent.config),
        [state],
        lambda state, batch, key: agent.update(state, batch, agent.draw_noise(key, BATCH_SIZE)),
        BATCH_SIZE,
    )


def main(options: Options) -> None:
    configure()
    if options.quick:
        options = Options(**{**asdict(options), "repeats": 3, "seconds": 0.5})
    cases = [partial(make_case, agent, size) for size in options.sizes for agent in options.agents]
    dims = (OBSERVATION_DIM, ACTION_DIM)
    report = SpeedReport.measure(cases, PACKAGES, dims, seconds=options.seconds, repeats=options.repeats)
    text = report.markdown(f"Batch {BATCH_SIZE}.")
    print(f"\n{text}")
    if options.out is not None:
        report.write(options.out, text)


if __name__ == "__main__":
    main(tyro.cli(Options))
