"""Mish and GELU, eager and compiled, against PyTorch's own."""

import math
import shutil

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from offlow_core.torch.activations import gelu, mish

VALUES = [0.0, 1e-9, 0.5, 1.0, -1.0, 3.0, -3.0, 20.0, -20.0, 50.0, -50.0, 1e4, -1e4]


def values(dtype: torch.dtype = torch.float64, *, requires_grad: bool = False) -> Tensor:
    return torch.tensor(VALUES, dtype=dtype, requires_grad=requires_grad)


def value_and_slope(function, x: Tensor) -> tuple[Tensor, Tensor]:
    y = function(x)
    return y.detach(), torch.autograd.grad(y.sum(), x)[0]


def test_numbers_by_hand():
    # At 0 softplus is log 2, whose tanh is (4 - 1) / (4 + 1); at log(e - 1) it is 1.
    x = torch.tensor([0.0, math.log(math.e - 1)], dtype=torch.float64, requires_grad=True)
    y, slope = value_and_slope(mish, x)
    torch.testing.assert_close(y, torch.tensor([0.0, math.log(math.e - 1) * math.tanh(1)], dtype=torch.float64))
    assert slope[0].item() == pytest.approx(0.6)


def test_gelu_by_hand():
    # u = sqrt(2/pi) 1.044715 = 0.833562, tanh u = 0.682384; at 0 the slope is 1/2.
    y, slope = value_and_slope(gelu, torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True))
    assert y.tolist() == pytest.approx([0.841192, 0.0], abs=1e-6)
    assert slope[1].item() == pytest.approx(0.5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_equals_pytorchs_own(dtype, tolerance):
    found = value_and_slope(mish, values(dtype, requires_grad=True))
    expected = value_and_slope(functional.mish, values(dtype, requires_grad=True))
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == dtype
        # Far below zero mish is about x exp(x): its own size, not 1, is the measure.
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * 1e-7)


def test_the_gradient_is_that_of_the_function():
    x = torch.linspace(-6, 6, 41, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mish, x)


def test_without_gradients_the_values_are_the_same_bits():
    with_graph = mish(values(torch.float32, requires_grad=True))
    assert with_graph.requires_grad
    assert torch.equal(mish(values(torch.float32)), with_graph)
    with torch.no_grad():
        inside = mish(values(torch.float32, requires_grad=True))
    assert not inside.requires_grad
    assert torch.equal(inside, with_graph)


def test_the_argument_is_left_alone():
    x = values(requires_grad=True)
    value_and_slope(mish, x)
    assert x.tolist() == VALUES


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize(
    "backend",
    [
        "eager",  # traces only
        pytest.param(
            "inductor", marks=[pytest.mark.slow, pytest.mark.skipif(not shutil.which("c++"), reason="compiles C++")]
        ),
    ],
)
@pytest.mark.parametrize(("activation", "atol"), [(mish, 1e-20), (gelu, 1e-14)])
def test_compiled_equals_eager(backend, activation, atol):
    # Far below zero 1 + tanh u, which PyTorch's own GELU takes, has lost its digits; the sigmoid has not.
    compiled = torch.compile(activation, fullgraph=True, backend=backend)
    found = value_and_slope(compiled, values(requires_grad=True))
    for mine, eager in zip(found, value_and_slope(activation, values(requires_grad=True)), strict=True):
        torch.testing.assert_close(mine, eager, rtol=1e-13, atol=atol)
    with torch.no_grad():
        torch.testing.assert_close(compiled(values()), activation(values()), rtol=1e-13, atol=atol)
