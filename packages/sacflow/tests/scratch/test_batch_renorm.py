"""Batch renormalisation by hand and by its properties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from offlow_sacflow.normalisation import NoNorm, RowNorm, Statistics
from offlow_sacflow.scratch.batch_renorm import BatchRenorm, store
from offlow_sacflow.scratch.config import NaiveConfig

PLAIN = {"batch_norm_eps": 1.0, "batch_norm_momentum": 0.75}


def make_layer(features: int = 1, members: int | None = None, **changes) -> BatchRenorm:
    return BatchRenorm(features, NaiveConfig(**PLAIN | changes), members)


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def in_train_mode(layer: BatchRenorm, x: Tensor) -> Tensor:
    """The output, the layer's running statistics having moved."""
    statistics: Statistics = {}
    y = layer(x, statistics)
    store(statistics)
    return y


@torch.no_grad()
def set_running(layer: BatchRenorm, mean: float, var: float, steps: float) -> None:
    for buffer, value in ((layer.mean, mean), (layer.var, var), (layer.steps, steps)):
        buffer.fill_(value)


def test_eval_mode_by_hand():
    layer = make_layer()
    set_running(layer, mean=2.0, var=8.0, steps=7)
    with torch.no_grad():
        layer.weight.fill_(6.0)
        layer.bias.fill_(0.5)
    # (x - 2) / sqrt(8 + 1) * 6 + 0.5
    assert layer(column(2.0, 5.0, -4.0)).flatten().tolist() == pytest.approx([0.5, 6.5, -11.5])


def test_the_warm_up_is_batch_normalisation_with_the_biased_variance_by_hand():
    layer = make_layer()
    with torch.no_grad():
        layer.weight.fill_(3.0)
        layer.bias.fill_(-1.0)
    # mean 3, variance 3 (biased): (x - 3) / 2 * 3 - 1
    y = in_train_mode(layer, column(0.0, 4.0, 4.0, 4.0))
    assert y.flatten().tolist() == pytest.approx([-5.5, 0.5, 0.5, 0.5])
    # a quarter of the way from 0 to 3, and from 1 to 3
    assert (layer.mean.item(), layer.var.item(), layer.steps.item()) == pytest.approx((0.75, 1.5, 1))


@pytest.mark.parametrize(
    ("mean", "var", "expected_mean", "expected_var"),
    [
        # The batch has mean 3 and variance 3, so its std with epsilon is 2, and sqrt(3) without.
        (1.0, 0.0, 3 - 2 * math.sqrt(3) / 2, 3 / 4),  # running std 1: r = 2, d = 2
        (2.0, 15.0, 3 - 0.25 * math.sqrt(3) / 0.5, 3 / 0.25),  # running std 4: r = 1/2, d = 1/4
        (-7.0, 0.0, 3 - 5 * math.sqrt(3) / 2, 3 / 4),  # d = 10, bounded to 5
        (13.0, 0.0, 3 + 5 * math.sqrt(3) / 2, 3 / 4),  # d = -10, bounded to -5
        (3.0, -0.75, 3.0, 3 / 9),  # running std 1/2: r = 4, bounded to 3
        (3.0, 399.0, 3.0, 3 * 9),  # running std 20: r = 1/10, bounded to 1/3
    ],
)
def test_after_the_warm_up_moments_are_corrected_by_hand(mean, var, expected_mean, expected_var):
    layer, x = make_layer(), column(0.0, 4.0, 4.0, 4.0)
    set_running(layer, mean, var, steps=100_000)
    expected = (x - expected_mean) / math.sqrt(expected_var + 1)
    torch.testing.assert_close(in_train_mode(layer, x), expected)
    # Running statistics follow the uncorrected moments.
    assert layer.mean.item() == pytest.approx(0.75 * mean + 0.25 * 3)
    assert layer.var.item() == pytest.approx(0.75 * var + 0.25 * 3)


def test_the_warm_up_ends_with_the_count_before_the_call():
    layer, x = make_layer(batch_norm_warmup_steps=3), column(0.0, 4.0, 4.0, 4.0)
    plain = make_layer(batch_norm_warmup_steps=1_000_000)
    equal = [torch.equal(in_train_mode(layer, x), in_train_mode(plain, x)) for _ in range(5)]
    assert equal == [True, True, True, False, False]


def test_a_pass_that_calls_a_layer_several_times_moves_its_statistics_each_time_and_stores_nothing():
    layer, reference = make_layer(2, batch_norm_warmup_steps=2), make_layer(2, batch_norm_warmup_steps=2)
    batches = torch.randn(4, 6, 2, generator=torch.Generator().manual_seed(0))
    statistics: Statistics = {}
    outputs = [layer(x, statistics) for x in batches]
    assert (layer.steps, layer.mean.tolist(), layer.var.tolist()) == (0, [0, 0], [1, 1])
    for x, y in zip(batches, outputs, strict=True):
        assert torch.equal(in_train_mode(reference, x), y)
    store(statistics)
    assert layer.steps == 4
    for name, value in reference.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value), name


@pytest.mark.parametrize("shared", [True, False])
def test_members_equal_separate_layers(shared):
    generator = torch.Generator().manual_seed(0)
    together = make_layer(3, members=2, batch_norm_warmup_steps=5)
    with torch.no_grad():
        for tensor in together.state_dict().values():
            tensor.uniform_(0.5, 2.0, generator=generator)
        together.steps.copy_(torch.tensor([4.0, 5.0]))  # one of them still warms up
    separate = [make_layer(3, batch_norm_warmup_steps=5) for _ in range(2)]
    for i, layer in enumerate(separate):
        layer.load_state_dict({name: value[i] for name, value in together.state_dict().items()})
    x = torch.randn(*([] if shared else [2]), 6, 3, generator=generator)
    torch.testing.assert_close(
        together(x), torch.stack([layer(x if shared else x[i]) for i, layer in enumerate(separate)])
    )
    y = in_train_mode(together, x)
    for i, layer in enumerate(separate):
        torch.testing.assert_close(y[i], in_train_mode(layer, x if shared else x[i]))
        for name, value in layer.state_dict().items():
            torch.testing.assert_close(together.state_dict()[name][i], value)


def test_the_gradient_runs_through_the_moments_of_the_batch_but_not_through_the_corrections():
    layer = make_layer(batch_norm_warmup_steps=0).double()
    set_running(layer, mean=0.4, var=2.0, steps=1)
    x = torch.tensor([[0.3], [-1.2], [2.2]], dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad((layer(x, {}) ** 3).sum(), x)
    mean, var = x.detach().mean(), x.detach().var(correction=0)
    r = ((var + 1) / 3).sqrt()
    d = (mean - 0.4) / math.sqrt(3)

    def with_fixed_corrections(x: Tensor) -> Tensor:
        mean, var = x.mean(), x.var(correction=0)
        return (((x - mean + d * var.sqrt() / r) / (var / r**2 + 1).sqrt()) ** 3).sum()

    torch.testing.assert_close(found, torch.autograd.functional.jacobian(with_fixed_corrections, x.detach()))


@pytest.mark.parametrize("steps", [0, 100_000])
def test_a_constant_feature_has_finite_gradients(steps):
    layer = make_layer(2, batch_norm_eps=1e-3)
    set_running(layer, mean=1.0, var=0.0, steps=steps)
    x = torch.tensor([[0.5, 1.0], [0.5, 2.0], [0.5, 4.0]], requires_grad=True)
    y = layer(x, {})
    gradients = torch.autograd.grad(y.square().sum(), [x, layer.weight, layer.bias])
    for tensor in (y, *gradients):
        assert tensor.isfinite().all()
    assert gradients[0][:, 1].any()


batches = st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=20).filter(lambda x: max(x) - min(x) > 1e-2)


@settings(deadline=None, max_examples=60)
@given(batches, st.floats(-50, 50), st.floats(0.1, 10))
def test_the_warm_up_takes_shifts_and_scales_away(values, shift, scale):
    layer = make_layer(batch_norm_eps=1e-12).double()
    x = torch.tensor(values, dtype=torch.float64)[:, None]
    torch.testing.assert_close(layer(x, {}), layer(scale * x + shift, {}), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer(x, {}).mean(), torch.zeros((), dtype=torch.float64), rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(batches, st.floats(-50, 50), st.floats(0.5, 100))
def test_within_its_bounds_a_corrected_batch_is_normalised_as_in_eval_mode(values, mean, var):
    unbounded = {"batch_norm_r_max": 1e9, "batch_norm_d_max": 1e9, "batch_norm_warmup_steps": 0}
    layer = make_layer(batch_norm_eps=1e-12, **unbounded).double()
    set_running(layer, mean, var, steps=0)
    x = torch.tensor(values, dtype=torch.float64)[:, None]
    torch.testing.assert_close(layer(x, {}), layer(x), rtol=1e-4, atol=1e-4)


def test_statistics_are_saved():
    assert set(make_layer().state_dict()) == {"weight", "bias", "mean", "var", "steps"}


def test_the_others_have_no_modes():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    statistics: Statistics = {}
    assert torch.equal(NoNorm()(x, statistics), x)
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(RowNorm(3)(x, statistics), expected)
    store(statistics)
    assert statistics == {}
