"""Names and layouts, both ways."""

import numpy as np
import pytest

from offlow_sacflow.flax_parameters import (
    FlaxArrays,
    FlaxParametersError,
    batch_renorm,
    dense,
    from_flax,
    stacked_dense,
    to_flax,
    token_decoder,
)


def test_a_dense_layer_is_transposed():
    flax = FlaxArrays({"fc/kernel": np.arange(6.0).reshape(2, 3), "fc/bias": np.arange(3.0)})
    state = from_flax(dense("layer", "fc"), flax)
    assert state["layer.weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert state["layer.bias"].tolist() == [0, 1, 2]
    assert state["layer.weight"].dtype == np.float32


def test_layers_become_members_of_an_ensemble_and_layers_again():
    random = np.random.default_rng(0)
    flax = {
        f"{name}/{kind}": random.normal(size=shape).astype(np.float32)
        for name in ("gate", "candidate")
        for kind, shape in (("kernel", (2, 3)), ("bias", (3,)))
    }
    table = stacked_dense("both", "gate", "candidate")
    state = from_flax(table, FlaxArrays(flax))
    assert state["both.weight"].shape == (2, 2, 3)
    np.testing.assert_array_equal(state["both.weight"][1], flax["candidate/kernel"])
    returned = to_flax(table, state).params
    assert set(returned) == set(flax)
    for name, array in flax.items():
        np.testing.assert_array_equal(returned[name], array)


def test_an_ensemble_keeps_its_layout():
    kernel = np.arange(12.0, dtype=np.float32).reshape(2, 2, 3)
    table = stacked_dense("layer", "Dense_0")
    state = from_flax(table, FlaxArrays({"Dense_0/kernel": kernel, "Dense_0/bias": kernel[:, 0]}))
    np.testing.assert_array_equal(state["layer.weight"], kernel)
    np.testing.assert_array_equal(to_flax(table, state).params["Dense_0/kernel"], kernel)


@pytest.mark.parametrize(("steps", "kind"), [(np.int32(7), np.int32), (np.float32(0.25), np.float32)])
def test_statistics_come_from_their_own_dictionary(steps, kind):
    params = {"bn/scale": np.ones(2, np.float32), "bn/bias": np.zeros(2, np.float32)}
    statistics = {"bn/mean": np.full(2, 3, np.float32), "bn/var": np.full(2, 4, np.float32), "bn/steps": steps}
    table = batch_renorm("norm", "bn")
    state = from_flax(table, FlaxArrays(params, statistics))
    assert set(state) == {f"norm.{name}" for name in ("weight", "bias", "mean", "var", "steps")}
    assert (state["norm.steps"], state["norm.steps"].dtype) == (steps, np.float32)
    returned = to_flax(table, state)
    assert set(returned.params) == set(params)
    assert returned.statistics["bn/steps"] == steps
    assert returned.statistics["bn/steps"].dtype == kind


def test_queries_and_keys_are_left_out_and_written_as_zeros():
    table = token_decoder("decoder", width=4, layers=1, norm="LayerNorm")
    names = [leaf.theirs for leaf in table]
    assert "layer_0/self_attn/q_proj/kernel" in names
    state = {leaf.ours: np.ones((4, 4) if "weight" in leaf.ours else 4) for leaf in table if hasattr(leaf, "ours")}
    params = to_flax(table, state).params
    idle = {name for name in params if "q_proj" in name or "k_proj" in name}
    assert len(idle) == 8
    assert not any(params[name].any() for name in idle)
    assert set(from_flax(table, FlaxArrays(params))) == set(state)


def test_what_does_not_fit_is_named():
    flax = {"fc/kernel": np.zeros((2, 3)), "fc/bias": np.zeros(3)}
    with pytest.raises(
        FlaxParametersError, match=r"parameters are not .* missing \['fc2/bias', 'fc2/kernel'\], unknown \["
    ):
        from_flax(dense("layer", "fc2"), FlaxArrays(flax))
    scales = FlaxArrays({"bn/scale": np.ones(2), "bn/bias": np.zeros(2)})
    with pytest.raises(
        FlaxParametersError, match=r"running statistics are not .* missing \['bn/mean', .* holds parameters and"
    ):
        from_flax(batch_renorm("norm", "bn"), scales)
