"""Each loss on two or three samples, with numbers worked out by hand."""

import math

import pytest
import torch

from offlow_diffusion_ql.toy.discrepancy import DiscrepancyConstrained, laplacian_distance
from offlow_diffusion_ql.toy.learning import RewardCritic, Workbench, reward_loss
from offlow_diffusion_ql.toy.likelihood import log_likelihood
from offlow_diffusion_ql.toy.options import ToyOptions
from offlow_diffusion_ql.toy.variational import Perturbed, autoencoder_loss

E = math.exp(-1)


def bench(**settings: object) -> Workbench:
    return Workbench(ToyOptions(hidden_dim=8, **settings), torch.device("cpu"), "test")


def test_reward_loss_sums_the_heads():
    values = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    assert reward_loss(values, torch.tensor([1.0, 0.0])).item() == 2.0 + 0.5


def test_log_likelihood_sums_the_dimensions():
    mean, log_std = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.0, math.log(2)], [0.0, 0.0]])
    actions = torch.tensor([[1.0, 5.0], [0.0, 0.0]])  # 1 and 2 standard deviations away; at the mean
    expected = torch.tensor([-0.5 - 2 - math.log(2) - math.log(2 * math.pi), -math.log(2 * math.pi)])
    torch.testing.assert_close(log_likelihood(mean, log_std, actions), expected)


def test_autoencoder_loss_is_reconstruction_and_half_the_divergence():
    decoded, actions = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    mean, log_std = torch.zeros(2, 4), torch.zeros(2, 4)
    assert autoencoder_loss(decoded, actions, mean, log_std).item() == 2 / 4
    mean[0, 0] = 1  # KL = 1/2 of the mean of 1, 0, 0, 0, 0, 0, 0, 0
    assert autoencoder_loss(decoded, actions, mean, log_std).item() == 2 / 4 + 0.5 / 16
    wide = autoencoder_loss(actions, actions, torch.zeros(2, 4), torch.full((2, 4), math.log(2)))
    assert wide.item() == pytest.approx(0.5 * -0.5 * (1 + 2 * math.log(2) - 4))


def test_laplacian_distance_of_hand_made_samples():
    origin, far = torch.zeros(1, 1, 2), torch.tensor([[[20.0, -20.0]]])  # 40 apart in the 1-norm: the kernel is 1/e
    assert laplacian_distance(origin, far).item() == pytest.approx(math.sqrt(2 - 2 * E + 1e-6), rel=1e-5)
    both = torch.cat([origin, far], 1)  # (2 + 2/e) / 4 + 1 - 2 (1 + 1/e) / 2
    assert laplacian_distance(both, origin).item() == pytest.approx(math.sqrt(0.5 - 0.5 * E + 1e-6), rel=1e-5)
    assert laplacian_distance(both, both).item() == pytest.approx(1e-3, rel=0.1)
    batch = laplacian_distance(torch.cat([both, both]), torch.cat([far, far]).expand(2, 3, 2))
    assert batch.shape == (2,)


def test_the_multiplier_rises_above_the_threshold_falls_below_and_stays_in_bounds():
    method = DiscrepancyConstrained(bench(), RewardCritic(bench()))
    for start, distance, expected in ((0.0, 0.06, 1e-3), (0.0, 0.04, -1e-3), (10.0, 1.0, 10.0), (-5.0, 0.0, -5.0)):
        method = DiscrepancyConstrained(bench(), RewardCritic(bench()))  # Adam's first step has the step size's length
        with torch.no_grad():
            method.log_multiplier.fill_(start)
        method.raise_multiplier(torch.tensor(distance))
        assert method.log_multiplier.item() == pytest.approx(expected, rel=1e-4)


def test_a_perturbation_is_small_and_stays_in_the_square():
    method = Perturbed(bench(), RewardCritic(bench()))
    for _, parameter in method._perturbation.network.named_parameters():
        torch.nn.init.constant_(parameter, 10.0)  # far into the tanh
    actions = torch.tensor([[0.0, 0.5], [0.98, -1.0]])
    moved = method.perturb(torch.zeros(2, 2), actions)
    torch.testing.assert_close(moved, torch.tensor([[0.05, 0.55], [1.0, -0.95]]))


def test_a_policys_actions_leave_the_critics_weights_alone():
    critic = RewardCritic(bench())
    actions = torch.zeros(3, 2, requires_grad=True)
    critic(torch.zeros(3, 2), actions).sum().backward()
    assert actions.grad.abs().sum() > 0
    parameters = list(critic._learner.network.parameters())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in parameters)


def test_the_plain_bcq_panel_shows_what_is_perturbed():
    shown = {}
    for panel in ("perturbed", "plain"):
        method = Perturbed(bench(bcq_panel=panel), RewardCritic(bench()))
        for parameter in method._perturbation.network.parameters():
            torch.nn.init.constant_(parameter, 10.0)
        shown[panel] = method.sample(torch.zeros(5, 2))
    torch.testing.assert_close(shown["perturbed"], (shown["plain"] + 0.05).clamp(-1, 1))
