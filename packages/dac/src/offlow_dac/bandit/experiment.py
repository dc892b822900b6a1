"""Every method of a picture trained on the bandit, drawn and measured."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from offlow_core.errors import UserError
from offlow_core.jax.batch_orders import Distinct
from offlow_core.jax.device_data import Batch, Sampler
from offlow_core.jax.learner import JaxLearner
from offlow_core.jax.networks import Array
from offlow_core.jax.phases import OfflinePhase
from offlow_core.jax.seed_axis import one_seed
from offlow_core.jax.updates import Report
from offlow_core.random_streams import stream_seed
from offlow_core.training.progress import Progress
from offlow_dac.action_selection import selecting
from offlow_dac.bandit.figures import GRID, bandit_figure
from offlow_dac.bandit.options import BanditOptions
from offlow_dac.bandit.problem import (
    ACTION_DIM,
    REWARD_SPREAD,
    Score,
    make_actions,
    make_dataset,
    score,
    score_of_data,
)
from offlow_dac.bandit.table import table_text, write_table
from offlow_dac.dac import Dac, DacState
from offlow_dac.networks import Critic

SAMPLES = 10_000
BLOCK_UPDATES = 200

METHODS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "diffusion BC": {"use_guidance_loss": False},
        "DAC, hard": {"Q_guidance": "hard"},
        "DAC, denoised": {"Q_guidance": "denoised"},
        "DAC, soft": {"Q_guidance": "soft"},
    }
)
"""What each method changes in the configuration that all share."""


class BanditError(UserError):
    """A training that came to nothing."""


class Trained(NamedTuple):
    """Actions [n, 2] of a trained policy, and the mean value of its slow critics on the picture's grid [g, g]."""

    actions: np.ndarray
    values: np.ndarray


def run(options: BanditOptions) -> None:
    """A picture and a table for each of the chosen sets of data."""
    folder = Path(options.save_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before the training, so that one that cannot be made costs none
    except OSError as error:
        raise BanditError(f"{folder}, the folder for the pictures, cannot be made: {error}; see --save_dir") from error
    for name in options.data_names:
        path = folder / f"bandit_{name}_T{options.agent.T}_{options.updates}_sd{options.seed}.pdf"
        data = make_actions(name)
        trained = {method: train(method, data, options, label=f"{name}, {method}") for method in METHODS}
        scores = {"data": score_of_data(data)} | {m: score(each.actions, data) for m, each in trained.items()}
        _report(name, data, trained, scores, path)


def train(method: str, data: np.ndarray, options: BanditOptions, *, label: str | None = None) -> Trained:
    """10,000 actions of a method trained on the data [N, 2], not clipped; progress on stderr under this label.

    All methods start from the same networks and see the same batches.
    """
    agent = Dac(replace(options.agent, **METHODS[method]), 1, ACTION_DIM)
    learner = _make_learner(agent, data, options)
    learner.enter(learner.phases[0])
    with Progress(options.updates, phase=label or method) as progress:
        for start in range(0, options.updates, BLOCK_UPDATES):
            steps = min(BLOCK_UPDATES, options.updates - start)
            learner.advance(start, steps)
            progress.update(start + steps)
    learner.close()
    random = np.random.default_rng(stream_seed(options.seed, "bandit/samples"))
    noise_seeds = random.integers(0, 2**32, (SAMPLES, 2), np.uint32)
    actions = learner.policy(0)(np.zeros((SAMPLES, 1), np.float32), noise_seeds)
    if not np.isfinite(actions).all():
        raise BanditError(f"{label or method} diverged: not all of its actions are numbers; lower --actor_lr")
    return Trained(actions, _values_on_grid(one_seed(learner.state, 0)))


def noisy_update(agent: Dac, state: DacState, batch: Batch, key: Array) -> tuple[DacState, Report]:
    """The agent's update, with noise on the rewards that is fresh every time."""
    count = len(batch["rewards"])
    reward_key, update_key = jax.random.split(key)
    noisy = batch["rewards"] + REWARD_SPREAD * jax.random.normal(reward_key, (count,))
    return agent.update(state, batch | {"rewards": noisy}, agent.draw_noise(update_key, count))


def _make_learner(agent: Dac, data: np.ndarray, options: BanditOptions) -> JaxLearner:
    def update(state: DacState, batch: Batch, key: Array) -> tuple[DacState, Report]:
        return noisy_update(agent, state, batch, key)

    batch_size = min(agent.config.batch_size, len(data))
    phase = OfflinePhase("bandit", 0, options.updates, update=update, batch_size=batch_size, order=Distinct())
    rule = selecting(agent, clip=False)
    return JaxLearner(agent.init, rule, rule, [phase], make_dataset(data), [options.seed], Sampler())


def _values_on_grid(state: DacState) -> np.ndarray:
    grid = jnp.stack(jnp.meshgrid(GRID, GRID), axis=-1).reshape(-1, ACTION_DIM)
    values = Critic(state.critic_target, jnp.zeros((len(grid), 1))).values(grid).mean(0)
    return np.asarray(values).reshape(len(GRID), len(GRID))


def _report(
    name: str, data: np.ndarray, trained: Mapping[str, Trained], scores: Mapping[str, Score], path: Path
) -> None:
    panels = {method: (each.actions, each.values) for method, each in trained.items()}
    pictures = bandit_figure(name, data, panels, scores, path)
    table = write_table(name, scores, path.with_suffix(".csv"))
    print(f"\n{name}: {SAMPLES:,} actions of each method\n{table_text(scores)}\n")
    print("written:", *(f"  {path}" for path in (*pictures, table)), sep="\n")
