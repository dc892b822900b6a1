"""Clipped Adam against PyTorch's separate parts, and averages by hand."""

import pytest
import torch
from torch import Tensor, nn

from offlow_core.torch.host_reads import no_host_reads
from offlow_core.torch.optimizers import ClippedAdam, move_towards
from offlow_core.torch.state_arrays import load_arrays, to_arrays

SHAPES = ((4, 3), (4,), (2, 3, 5))


def make_parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def make_gradients(step: int, *, transposed: bool = False) -> list[Tensor]:
    """Random ones; `transposed`: the same numbers, stored with the last axis before the one in front of it."""
    generator = torch.Generator().manual_seed(100 + step)
    gradients = [torch.randn(shape, generator=generator) * (step + 1) for shape in SHAPES]
    if not transposed:
        return gradients
    return [gradient.mT.contiguous().mT if gradient.dim() > 1 else gradient for gradient in gradients]


def reference(max_norm: float | None, rates: list[float]) -> tuple[list[nn.Parameter], list[float]]:
    """What the plain optimizer makes of a step per rate; the norms before clipping."""
    parameters, norms = make_parameters(), []
    adam = torch.optim.Adam(parameters, foreach=False)
    for step, rate in enumerate(rates):
        adam.param_groups[0]["lr"] = rate
        for parameter, gradient in zip(parameters, make_gradients(step), strict=True):
            parameter.grad = gradient
        norms.append(nn.utils.clip_grad_norm_(parameters, max_norm or float("inf")).item())
        adam.step()
    return parameters, norms


@pytest.mark.parametrize("max_norm", [None, 0.5, 12.0])
@pytest.mark.parametrize("transposed", [False, True])
def test_steps_equal_adam_after_clipping(max_norm, transposed):
    rates = [1e-2] * 5
    parameters = make_parameters()
    adam = ClippedAdam(parameters, rates[0], max_norm)
    norms = [adam.step(make_gradients(step, transposed=transposed)) for step in range(len(rates))]
    expected, expected_norms = reference(max_norm, rates)
    torch.testing.assert_close(parameters, expected, rtol=1e-5, atol=1e-6)
    if max_norm is None:
        assert norms == [None] * len(rates)
    else:
        assert [norm.item() for norm in norms] == pytest.approx(expected_norms, rel=1e-6)
    # With 12.0 some steps are clipped and some are not.
    assert max_norm != 12.0 or min(expected_norms) < 12.0 < max(expected_norms)


def test_strides_of_the_gradients_reach_the_test_above():
    for plain, transposed in zip(make_gradients(0), make_gradients(0, transposed=True), strict=True):
        assert torch.equal(plain, transposed)
    assert [gradient.is_contiguous() for gradient in make_gradients(0, transposed=True)] == [False, True, False]


def test_the_first_step_by_hand():
    parameter = nn.Parameter(torch.tensor([1.0, 1.0, 1.0]))
    norm = ClippedAdam([parameter], 0.1, max_norm=1.0).step([torch.tensor([3.0, -4.0, 0.0])])
    assert norm.item() == 5.0
    # Both moments are corrected to the gradient and its square: the first step is lr times the sign.
    assert parameter.tolist() == pytest.approx([0.9, 1.1, 1.0], abs=1e-6)


def test_the_step_size_can_change_between_steps():
    rates = [1e-2, 3e-3, 0.0, 2e-2]
    parameters = make_parameters()
    adam = ClippedAdam(parameters, rates[0], 1.0)
    for step, rate in enumerate(rates):
        adam.set_lr(rate)
        assert adam.lr == rate
        adam.step(make_gradients(step))
    torch.testing.assert_close(parameters, reference(1.0, rates)[0], rtol=1e-5, atol=1e-6)


def test_the_state_has_the_same_names_before_and_after_the_first_step():
    adam = ClippedAdam(make_parameters(), 1e-2)
    before = adam.state()
    assert set(before) == {f"{i}/{name}" for i in range(3) for name in ("step", "exp_avg", "exp_avg_sq")}
    assert all((tensor == 0).all() for tensor in before.values())
    adam.step(make_gradients(0))
    after = adam.state()
    assert {name: tensor.data_ptr() for name, tensor in after.items()} == {
        name: tensor.data_ptr() for name, tensor in before.items()
    }
    assert [after[f"{i}/step"].item() for i in range(3)] == [1.0, 1.0, 1.0]
    assert all((tensor != 0).any() for tensor in after.values())


def test_the_state_made_in_advance_is_the_one_that_adam_makes():
    looked_at, untouched = (ClippedAdam(make_parameters(), 1e-2, 1.0) for _ in range(2))
    looked_at.state()
    for adam in (looked_at, untouched):
        adam.step(make_gradients(0))
    mine, theirs = looked_at.state(), untouched.state()
    assert [(name, t.dtype, t.device, t.stride()) for name, t in mine.items()] == [
        (name, t.dtype, t.device, t.stride()) for name, t in theirs.items()
    ]
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("saved_after", [0, 3])
def test_saved_and_loaded_goes_on_as_if_nothing_had_happened(saved_after):
    whole, parts = make_parameters(), make_parameters()
    adam, first = ClippedAdam(whole, 1e-2, 1.0), ClippedAdam(parts, 1e-2, 1.0)
    for step in range(saved_after):
        adam.step(make_gradients(step))
        first.step(make_gradients(step))
    second = ClippedAdam(parts, 1e-2, 1.0)
    load_arrays(second.state(), to_arrays(first.state()))
    for step in range(saved_after, 6):
        adam.step(make_gradients(step))
        second.step(make_gradients(step))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(parts, whole, strict=True))


def test_a_step_reads_nothing_on_the_host():
    adam = ClippedAdam(make_parameters(), 1e-2, 1.0)
    with no_host_reads():
        for step in range(2):
            adam.set_lr(1e-3 * step)
            adam.step(make_gradients(step))


def test_moving_towards_by_hand():
    target, source = nn.Linear(2, 1), nn.Linear(2, 1)
    with torch.no_grad():
        for network, weight, bias in ((target, [1.0, 2.0], 4.0), (source, [3.0, -2.0], 0.0)):
            network.weight.copy_(torch.tensor([weight]))
            network.bias.fill_(bias)
    move_towards(target, source, 0.25)
    assert (target.weight.tolist(), target.bias.tolist()) == ([[1.5, 1.0]], [3.0])
    assert (source.weight.tolist(), source.bias.tolist()) == ([[3.0, -2.0]], [0.0])
    assert target.weight.requires_grad
    assert target.weight.grad_fn is None


@pytest.mark.parametrize("options", [{"betas": (0.5, 0.9)}, {"weight_decay": 0.1}])
def test_options_are_those_of_adam_and_adamw(options):
    parameters, expected = make_parameters(), make_parameters()
    kind = torch.optim.AdamW if "weight_decay" in options else torch.optim.Adam
    mine, theirs = ClippedAdam(parameters, 1e-2, **options), kind(expected, lr=1e-2, foreach=False, **options)
    for step in range(4):
        mine.step(make_gradients(step))
        for parameter, gradient in zip(expected, make_gradients(step), strict=True):
            parameter.grad = gradient
        theirs.step()
    torch.testing.assert_close(parameters, expected, rtol=1e-5, atol=1e-6)


def test_weight_decay_by_hand():
    parameter = nn.Parameter(torch.tensor([2.0, -4.0]))
    adam = ClippedAdam([parameter], 0.1, weight_decay=0.5)
    adam.step([torch.zeros(2)])
    assert parameter.tolist() == pytest.approx([1.9, -3.8])  # 1 - 0.1 * 0.5 of it, without a gradient


def test_saved_buffers_move_like_parameters():
    target, source = (nn.Module() for _ in range(2))
    for network, value in ((target, 1.0), (source, 3.0)):
        network.register_buffer("running_mean", torch.full((2,), value))
        network.register_buffer("table", torch.full((2,), value), persistent=False)
    move_towards(target, source, 0.25)
    assert target.running_mean.tolist() == [1.5, 1.5]
    assert target.table.tolist() == [1.0, 1.0]
