"""Named tensors as host arrays and back, in place."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offlow_core.torch.state_arrays import load_arrays, to_arrays


def make_state(value: float = 1.5) -> dict[str, Tensor]:
    """As agents have them: parameters, a scalar, flags."""
    parameter = nn.Parameter(torch.full((2, 3), value))
    return {
        "actor/weight": parameter,
        "actor/transposed": torch.arange(6.0).reshape(2, 3).mT * value,
        "adam/step": torch.tensor(value),
        "count": torch.tensor(int(value * 2)),
        "flags": torch.tensor([value > 1, False]),
    }


def test_the_round_trip_is_exact_and_in_place():
    arrays = to_arrays(make_state())
    for array in arrays.values():
        array.flags.writeable = False  # as an array that lies in a file may be
    state = make_state(0.0)
    places = {name: tensor.data_ptr() for name, tensor in state.items()}
    load_arrays(state, arrays)
    assert {name: tensor.data_ptr() for name, tensor in state.items()} == places
    assert state["actor/weight"].requires_grad
    for name, tensor in make_state().items():
        assert torch.equal(state[name], tensor)
        assert state[name].dtype == tensor.dtype


def test_arrays_are_copies():
    state = make_state()
    arrays = to_arrays(state)
    with torch.no_grad():
        state["actor/weight"].add_(1)
    assert (arrays["actor/weight"] == 1.5).all()
    loaded = make_state(0.0)
    load_arrays(loaded, arrays)
    arrays["actor/weight"][:] = 7
    assert (loaded["actor/weight"] == 1.5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": None}, "missing.*count"),
        ({"actor/weight": np.zeros((1, 3), np.float32)}, r"actor/weight is float32\[1, 3\], expected float32\[2, 3\]"),
        ({"adam/step": np.zeros(())}, "adam/step is float64.*expected float32"),
    ],
)
def test_a_state_of_another_agent_is_refused_and_nothing_is_changed(change, message):
    arrays = {name: array for name, array in (to_arrays(make_state()) | change).items() if array is not None}
    state = make_state(0.0)
    with pytest.raises(ValueError, match=message):
        load_arrays(state, arrays)
    assert all(torch.equal(tensor, make_state(0.0)[name]) for name, tensor in state.items())
