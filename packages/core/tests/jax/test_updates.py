"""Blocks of updates: a block of n is n blocks of one, and only the last update reports."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.device_data import Sampler, to_device
from offlow_core.jax.seed_axis import one_seed, stack_seeds
from offlow_core.jax.streams import stream_keys
from offlow_core.jax.updates import build_block

traced: list[int] = []
reported: list[int] = []


class Toy(NamedTuple):
    """A vector, how many updates it has seen, and the last random numbers."""

    mean: jax.Array
    count: jax.Array


def update(state: Toy, batch: dict, key: jax.Array) -> tuple:
    traced.append(1)
    noise = jax.random.normal(key, state.mean.shape)
    error = batch["observations"].mean(0) + batch["bonus"].mean() - state.mean
    new = Toy(state.mean + 0.1 * error + 0.01 * noise, state.count + 1)

    def report() -> dict[str, jax.Array]:
        jax.debug.callback(lambda count: reported.append(int(count)), new.count)
        return {"loss": jnp.mean(error**2), "noise": noise[0], "count": new.count.astype(float)}

    return new, report


class Blocks:
    """A compiled block of the toy on the small dataset."""

    def __init__(self, transitions, seeds: list[int]):
        self.block = build_block(update, Sampler(), 4, len(seeds))
        self.data, self.seeds = to_device(transitions), seeds
        self.columns = {"bonus": jnp.tile(jnp.arange(float(len(transitions))), (len(seeds), 1))}
        self.keys = stream_keys(seeds, "data"), stream_keys(seeds, "noise")

    def start(self) -> Toy:
        return stack_seeds([Toy(jnp.full(3, float(s)), jnp.zeros((), jnp.int32)) for s in self.seeds])

    def run(self, *cuts: int, start: int = 0) -> tuple[Toy, dict]:
        state, metrics, done = self.start(), {}, start
        for steps in cuts:
            state, metrics = self.block(state, self.columns, *self.keys, self.data, done, steps)
            done += steps
        return jax.tree.map(np.asarray, (state, metrics))


@pytest.fixture(scope="module")
def blocks(states) -> Blocks:
    return Blocks(states, [0])


@pytest.fixture(scope="module")
def pair(states) -> Blocks:
    return Blocks(states, [0, 5])


@pytest.mark.parametrize("cuts", [(1,) * 7, (3, 4), (1, 5, 1)])
@pytest.mark.parametrize("start", [0, -3])
def test_how_a_block_is_cut_changes_nothing(blocks, cuts, start):
    whole, whole_metrics = blocks.run(7, start=start)
    parts, metrics = blocks.run(*cuts, start=start)
    assert whole.count == [7]
    for found, expected in zip(jax.tree.leaves((parts, metrics)), jax.tree.leaves((whole, whole_metrics)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_steps_before_and_after_zero_draw_differently(blocks):
    noises = [blocks.run(1, start=start)[1]["noise"][0] for start in range(-4, 4)]
    assert len(set(noises)) == 8


@pytest.mark.parametrize("kind", ["blocks", "pair"])
def test_only_the_last_update_of_a_block_reports(kind, request):
    program = request.getfixturevalue(kind)
    reported.clear()
    _, metrics = program.run(5, 2)
    jax.effects_barrier()
    assert sorted(reported) == sorted([5, 7] * len(program.seeds))
    assert metrics["count"].tolist() == [7.0] * len(program.seeds)


def test_blocks_of_all_lengths_share_one_program(blocks):
    blocks.run(2)
    traced.clear()
    blocks.run(1, 9, 30, start=-5)
    assert traced == []


def test_seeds_side_by_side_equal_single_ones(blocks, pair):
    together, metrics = pair.run(6)
    alone, alone_metrics = blocks.run(6)
    np.testing.assert_allclose(one_seed(together, 0).mean, alone.mean[0], rtol=1e-6)
    np.testing.assert_allclose(metrics["loss"][0], alone_metrics["loss"][0], rtol=1e-5)
    assert (together.mean[0] != together.mean[1]).all()
    assert metrics["noise"][0] != metrics["noise"][1]


def test_the_state_is_donated(blocks):
    state = blocks.start()
    blocks.block(state, blocks.columns, *blocks.keys, blocks.data, 0, 1)
    assert state.mean.is_deleted()
    assert not blocks.data.observations.is_deleted()
