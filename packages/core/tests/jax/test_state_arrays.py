"""States as named arrays and back."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from offlow_core.jax.state_arrays import all_finite, from_arrays, to_arrays


class State(NamedTuple):
    """As agents have them: nested parameters and an optimizer."""

    params: dict
    optimizer: optax.OptState


def make_state(value: float = 1.5) -> State:
    params = {"actor": {"Dense_0": {"kernel": jnp.full((2, 3), value)}}}
    return State(params, optax.adam(1e-3).init(params))


def test_names_are_paths_and_the_round_trip_is_exact():
    state = make_state()
    arrays = to_arrays(state)
    assert "params/actor/Dense_0/kernel" in arrays
    assert len(arrays) == 4  # kernel, two moments, count
    again = from_arrays(make_state(0.0), arrays)
    assert isinstance(again, State)
    assert type(again.optimizer) is type(state.optimizer)
    for name, array in to_arrays(again).items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


def test_a_state_of_another_agent_is_refused_with_the_leafs_name():
    arrays = to_arrays(make_state()) | {"params/actor/Dense_0/kernel": np.zeros((3, 2), np.float32)}
    with pytest.raises(ValueError, match=r"params/actor/Dense_0/kernel is float32\[3, 2\], expected float32\[2, 3\]"):
        from_arrays(make_state(), arrays)


@pytest.mark.parametrize(("value", "finite"), [(1.0, True), (np.nan, False), (np.inf, False)])
def test_finiteness_is_of_all_floating_leaves(value, finite):
    state = {"x": jnp.array([0.0, value]), "count": jnp.array(3), "flags": jnp.array([True])}
    assert bool(all_finite(state)) is finite
