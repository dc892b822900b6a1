"""Activation functions that PyTorch's CPU kernels compute slowly."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional


def gelu(x: Tensor) -> Tensor:
    """Flax's GELU, x/2 (1 + tanh u), u = √(2/π) (x + 0.044715 x³) (Hendrycks and Gimpel, 2016), [...] -> [...].

    (1 + tanh u)/2 is sigmoid(2u), and compiled code takes an exponential in half the time of a hyperbolic tangent.
    """
    if torch.compiler.is_compiling():
        return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))
    return functional.gelu(x, approximate="tanh")


def mish(x: Tensor) -> Tensor:
    """x tanh(softplus(x)) (Misra, 2019), [...] -> [...].

    With p = sigmoid(x) and q = p (2 - p) it is x q / (2 - q): one exponential in the place of three transcendental
    functions, without overflow or cancellation at either end.
    """
    if x.is_cuda and not torch.compiler.is_compiling():
        return functional.mish(x)  # one fused kernel
    if torch.compiler.is_compiling():
        p = torch.sigmoid(x)
        q = p * (2 - p)
        return x * (q / (2 - q))
    return _EagerMish.apply(x) if torch.is_grad_enabled() and x.requires_grad else x * _tanh_softplus(torch.sigmoid(x))


def _tanh_softplus(p: Tensor) -> Tensor:
    """tanh(softplus(x)) of p = sigmoid(x); as few passes over memory as eager operations allow."""
    q = (2 - p).mul_(p)
    return q.div_(2 - q)


class _EagerMish(torch.autograd.Function):
    """Its gradient is t + p (x - y t), t = tanh(softplus(x)), y = mish(x), since t' = p (1 - t^2)."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        p = torch.sigmoid(x)
        t = _tanh_softplus(p)
        y = x * t
        ctx.save_for_backward(x, p, t, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, p, t, y = ctx.saved_tensors
        return torch.addcmul(x, y, t, value=-1).mul_(p).add_(t).mul_(gradient)
