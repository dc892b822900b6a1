"""Seeds side by side compute what each would alone."""

import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.seed_axis import one_seed, over_seeds, stack_seeds


def affine(state: dict, key: jnp.ndarray, slope: float) -> tuple[dict, jnp.ndarray]:
    return {"x": slope * state["x"] + key}, state["x"].sum()


@pytest.mark.parametrize("seeds", [1, 3])
def test_per_seed_and_shared_arguments(seeds):
    states = [{"x": jnp.arange(2.0) + s} for s in range(seeds)]
    stacked = stack_seeds(states)
    assert stacked["x"].shape == (seeds, 2)
    new, total = over_seeds(affine, seeds, shared=1)(stacked, jnp.arange(seeds), 10.0)
    for s in range(seeds):
        expected, expected_total = affine(states[s], s, 10.0)
        np.testing.assert_array_equal(one_seed(new, s)["x"], expected["x"])
        assert total[s] == expected_total
    assert total.shape == (seeds,)


def test_one_seed_sees_no_batch_axis():
    shapes = []
    over_seeds(lambda x: shapes.append(x.shape) or x, 1, shared=0)(jnp.zeros((1, 4)))
    assert shapes == [(4,)]
