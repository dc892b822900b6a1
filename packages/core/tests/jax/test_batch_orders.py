"""Which transitions make up a batch: with, without replacement, and in passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.transitions import Transitions
from offlow_core.jax.batch_orders import BatchOrder, Distinct, Passes, Uniform
from offlow_core.jax.device_data import DeviceTransitions, Sampler, to_device
from offlow_core.jax.updates import build_block

KEY = jax.random.key(3)


def data(n: int) -> DeviceTransitions:
    numbers = np.arange(n, dtype=np.float32)[:, None]
    ends = np.zeros(n)
    return to_device(Transitions.from_arrays(numbers, numbers, numbers[:, 0], ends, ends, numbers))


def batches(order: BatchOrder, n: int, batch_size: int, numbers: range) -> list[tuple[np.ndarray, dict]]:
    """The batches of these numbers, drawn one after the other."""
    transitions = data(n)
    carried = order.begin(transitions, KEY, jnp.asarray(numbers[0]), batch_size)
    found = []
    for number in numbers:
        carried, indices, entries = order.draw(carried, transitions, KEY, jnp.asarray(number), batch_size)
        found.append((np.asarray(indices), entries))
    return found


def test_a_pass_has_every_transition_once_and_the_next_has_another_order():
    found = batches(Passes(), 10, 4, range(1, 7))
    kept = [indices[np.asarray(entries["weights"]) > 0] for indices, entries in found]
    assert [len(indices) for indices in kept] == [4, 4, 2, 4, 4, 2]
    first, second = np.concatenate(kept[:3]), np.concatenate(kept[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first.tolist() != second.tolist()


def test_passes_that_divide_have_no_short_batch():
    assert all((entries["weights"] == 1).all() for _, entries in batches(Passes(), 8, 4, range(1, 5)))


@pytest.mark.parametrize("order", [Uniform(), Distinct(), Passes()], ids=lambda order: type(order).__name__)
def test_a_batch_does_not_depend_on_where_drawing_began(order):
    whole = batches(order, 10, 4, range(1, 9))
    for start in (2, 3, 4, 6):
        for (found, _), (expected, _) in zip(batches(order, 10, 4, range(start, 9)), whole[start - 1 :], strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n", [5, 40, 1000])
def test_distinct_transitions_are_distinct_and_every_one_comes(n):
    found = batches(Distinct(), n, 5, range(1, 200))
    assert all(len(set(indices)) == 5 for indices, _ in found)
    counts = np.bincount(np.concatenate([indices for indices, _ in found]), minlength=n)
    mean = 199 * 5 / n
    assert abs(counts - mean).max() <= (0 if n == 5 else 6 * np.sqrt(mean) + 1)


@pytest.mark.parametrize("order", [Distinct(), Passes()], ids=lambda order: type(order).__name__)
def test_blocks_of_any_length_see_the_same_batches_for_one_seed_and_for_two(order):
    def update(state, batch, key):
        seen, i = state
        weights = batch.get("weights", jnp.ones(4))
        return (seen.at[i].set(jnp.sort(jnp.where(weights > 0, batch["rewards"], -1.0))), i + 1), dict

    def run(seeds: int, *lengths: int) -> np.ndarray:
        keys = jnp.stack([jax.random.fold_in(KEY, i) for i in range(seeds)])
        block = build_block(update, Sampler(), 4, seeds, order)
        state, start = (jnp.zeros((seeds, 7, 4)), jnp.zeros(seeds, int)), 0
        for steps in lengths:
            state, _ = block(state, {}, keys, keys, data(10), start, steps)
            start += steps
        return np.asarray(state[0])

    np.testing.assert_array_equal(run(1, 7), run(1, 2, 4, 1))
    np.testing.assert_array_equal(run(2, 7)[0], run(1, 7)[0])
    assert (run(2, 7)[0] != run(2, 7)[1]).any()
