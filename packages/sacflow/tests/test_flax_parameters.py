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

LAYER = {"layer.weight": np.zeros((3, 2)), "layer.bias": np.zeros(3)}
NORM = {"norm.weight": np.ones(2), "norm.bias": np.zeros(2)} | {f"norm.{name}": np.ones(2) for name in ("mean", "var")}
NORM["norm.steps"] = np.zeros(())


def test_a_dense_layer_is_transposed():
    flax = FlaxArrays({"fc/kernel": np.arange(6.0).reshape(2, 3), "fc/bias": np.arange(3.0)})
    state = from_flax(dense("layer", "fc"), flax, LAYER)
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
    like = {"both.weight": np.zeros((2, 2, 3)), "both.bias": np.zeros((2, 3))}
    state = from_flax(table, FlaxArrays(flax), like)
    assert state["both.weight"].shape == (2, 2, 3)
    np.testing.assert_array_equal(state["both.weight"][1], flax["candidate/kernel"])
    returned = to_flax(table, state).params
    assert set(returned) == set(flax)
    for name, array in flax.items():
        np.testing.assert_array_equal(returned[name], array)


def test_an_ensemble_keeps_its_layout():
    kernel = np.arange(12.0, dtype=np.float32).reshape(2, 2, 3)
    table = stacked_dense("layer", "Dense_0")
    like = {"layer.weight": kernel, "layer.bias": kernel[:, 0]}
    state = from_flax(table, FlaxArrays({"Dense_0/kernel": kernel, "Dense_0/bias": kernel[:, 0]}), like)
    np.testing.assert_array_equal(state["layer.weight"], kernel)
    np.testing.assert_array_equal(to_flax(table, state).params["Dense_0/kernel"], kernel)


@pytest.mark.parametrize(("steps", "kind"), [(np.int32(7), np.int32), (np.float32(0.25), np.float32)])
def test_statistics_come_from_their_own_dictionary(steps, kind):
    params = {"bn/scale": np.ones(2, np.float32), "bn/bias": np.zeros(2, np.float32)}
    statistics = {"bn/mean": np.full(2, 3, np.float32), "bn/var": np.full(2, 4, np.float32), "bn/steps": steps}
    table = batch_renorm("norm", "bn")
    state = from_flax(table, FlaxArrays(params, statistics), NORM)
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
    assert set(from_flax(table, FlaxArrays(params), state)) == set(state)


def test_other_names_are_named_with_their_place_in_the_agent():
    agent = {"params/net/fc/kernel": np.zeros((2, 3)), "params/net/fc/bias": np.zeros(3)}
    leaves = FlaxArrays.of(agent, "params/net/")
    with pytest.raises(FlaxParametersError, match=r"missing \['params/net/fc2/bias', .*'\], unknown \['params/net/fc/"):
        from_flax(dense("layer", "fc2"), leaves, LAYER)
    scales = {"params/a/bn/scale": np.ones(2), "params/a/bn/bias": np.zeros(2)}
    with pytest.raises(FlaxParametersError, match=r"missing \['stats/a/bn/mean', .* holds parameters and running"):
        from_flax(batch_renorm("norm", "bn"), FlaxArrays.of(scales, "params/a/", "stats/a/"), NORM)


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("p/bn/scale", np.ones(3), r"p/bn/scale must have shape \(2,\), got \(3,\); check the sizes"),
        ("s/bn/steps", np.ones(2), r"s/bn/steps must have shape \(\), got \(2,\)"),
        ("p/bn/scale", np.array([1, np.nan]), "p/bn/scale must hold finite float32 numbers, got nan"),
        ("p/bn/bias", np.array([1e300, 0]), r"p/bn/bias must hold finite float32 numbers, got 1e\+300"),
        ("s/bn/var", np.array([1, -0.5]), r"s/bn/var must hold no negative number, got -0\.5"),
        ("s/bn/steps", np.int32(-1), "s/bn/steps must hold no negative number"),
        ("p/bn/scale", np.array(["1", "2"]), "p/bn/scale must hold real numbers, got <U1"),
        ("p/bn/scale", np.array([1j, 2]), "p/bn/scale must hold real numbers, got complex128"),
        ("p/bn/scale", np.array([True, False]), "p/bn/scale must hold real numbers, got bool"),
    ],
)
def test_leaves_that_are_no_such_numbers_are_named(path, values, message):
    agent = {"p/bn/scale": np.ones(2), "p/bn/bias": np.zeros(2, np.int64)}
    agent |= {"s/bn/mean": np.zeros(2), "s/bn/var": np.ones(2), "s/bn/steps": np.int32(3)}
    table = batch_renorm("norm", "bn")
    from_flax(table, FlaxArrays.of(agent, "p/", "s/"), NORM)
    with pytest.raises(FlaxParametersError, match=message):
        from_flax(table, FlaxArrays.of(agent | {path: np.asarray(values)}, "p/", "s/"), NORM)
