"""Rollouts and their likelihoods by hand, and against distributions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import AffineTransform, Normal, TanhTransform, TransformedDistribution

from offlow_sacflow.rollout import HALF_LOG_TWO_PI, RolloutNoise, euler_path, noisy_path, normal_log_density, squash

EXACT = {"noise_factor": 1.0, "counts_scale": True}


def constant(u: float, std: float):
    """A field that is the same everywhere."""
    return lambda x, step: (torch.full_like(x, u), torch.full_like(x, math.log(std)))


def draws(*values: float) -> RolloutNoise:
    """A start and a draw per step, for one action of one number."""
    return RolloutNoise.of(torch.tensor(values)[:, None, None])


def test_a_path_by_hand():
    # 1 + 4/2 + 0.5 * 2 = 4, 4 + 4/2 - 0.5 * 3 = 4.5
    path = noisy_path(constant(4.0, 0.5), draws(1.0, 2.0, -3.0), **EXACT)
    assert path.end.item() == pytest.approx(4.5)
    assert path.log_prob.item() == pytest.approx(-(1 + 4 + 9) / 2 - 3 * HALF_LOG_TWO_PI - 2 * math.log(0.5))
    # With the noise halved: 1 + 2 + 0.5 = 3.5, 3.5 + 2 - 0.75 = 4.75
    scaled = noisy_path(constant(4.0, 0.5), draws(1.0, 2.0, -3.0), noise_factor=0.5, counts_scale=True)
    assert scaled.end.item() == pytest.approx(4.75)
    assert scaled.log_prob.item() == pytest.approx(path.log_prob.item() + 2 * math.log(2))
    without = noisy_path(constant(4.0, 0.5), draws(1.0, 2.0, -3.0), noise_factor=0.5, counts_scale=False)
    assert without.end.item() == scaled.end.item()
    assert without.log_prob.item() == pytest.approx(-7 - 3 * HALF_LOG_TWO_PI)


def test_the_field_is_asked_in_order_and_where_the_path_is():
    seen: list[tuple[int, float]] = []

    def field(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
        seen.append((step, x.item()))
        return x, torch.zeros_like(x)

    path = noisy_path(field, draws(1.0, 0.0, 1.0, 0.0), **EXACT)
    assert seen == [(0, 1.0), (1, pytest.approx(4 / 3)), (2, pytest.approx(25 / 9))]  # 4/3 * 4/3 + 1
    assert path.end.item() == pytest.approx(100 / 27)
    assert [u.item() for u in path.velocities] == [pytest.approx(x) for _, x in seen]


def test_the_exact_likelihood_is_that_of_the_transitions():
    generator = torch.Generator().manual_seed(0)
    noise = RolloutNoise.of(torch.randn(5, 6, 3, generator=generator))
    path = noisy_path(lambda x, step: (torch.sin(x) * step, torch.cos(x)), noise, noise_factor=0.25, counts_scale=True)
    x, expected = noise.start, Normal(0.0, 1.0).log_prob(noise.start).sum(-1)
    for step in range(4):
        transition = Normal(x + torch.sin(x) * step / 4, 0.25 * torch.cos(x).exp())
        x = transition.mean + transition.stddev * noise.steps[step]
        expected = expected + transition.log_prob(x).sum(-1)
    torch.testing.assert_close(path.end, x)
    torch.testing.assert_close(path.log_prob, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("counts_scale", [True, False])
def test_only_a_likelihood_that_knows_of_the_scale_has_a_gradient_in_it(counts_scale):
    log_std = torch.tensor(-1.0, requires_grad=True)
    field = lambda x, step: (torch.zeros_like(x), log_std)  # noqa: E731
    path = noisy_path(field, draws(0.3, 1.0, -1.0), noise_factor=0.5, counts_scale=counts_scale)
    assert path.end.requires_grad
    if counts_scale:
        assert torch.autograd.grad(path.log_prob.sum(), log_std)[0].item() == pytest.approx(-2)
    else:
        assert not path.log_prob.requires_grad


def test_squashing_by_hand():
    x, none = torch.tensor([[0.0, 0.5]]), torch.zeros(1)
    actions, log_prob = squash(x, none, torch.tensor([2.0, 0.4]), torch.tensor([1.0, -1.0]))
    y = math.tanh(0.5)
    assert actions.flatten().tolist() == pytest.approx([1.0, 0.4 * y - 1])
    assert log_prob.item() == pytest.approx(-math.log(2 + 1e-6) - math.log(0.4 * (1 - y * y) + 1e-6))


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.3, 5), st.floats(-5, 5))
def test_squashing_is_a_change_of_variables(x, scale, offset):
    base = Normal(torch.zeros((), dtype=torch.float64), 1.0)
    distribution = TransformedDistribution(base, [TanhTransform(), AffineTransform(offset, scale)])
    x = torch.tensor([[x]], dtype=torch.float64)
    action, log_prob = squash(x, normal_log_density(x), scale, offset)
    assert offset - scale <= action.item() <= offset + scale
    assert log_prob.item() == pytest.approx(distribution.log_prob(action).item(), abs=2e-3)


def test_a_saturated_action_has_the_likelihood_of_the_floor():
    actions, log_prob = squash(torch.tensor([[50.0]]), torch.zeros(1))
    assert actions.item() == 1.0
    assert log_prob.item() == pytest.approx(-math.log(1e-6))


@settings(deadline=None)
@given(st.integers(1, 20), st.floats(-2, 2))
def test_euler_steps_compound(steps, rate):
    end = euler_path(lambda x, step: rate * x, torch.ones(1, 1, dtype=torch.float64), steps)
    assert end.item() == pytest.approx((1 + rate / steps) ** steps)


def test_euler_steps_know_their_number():
    assert euler_path(lambda x, step: torch.full_like(x, step), torch.zeros(1, 1), 4).item() == (0 + 1 + 2 + 3) / 4
