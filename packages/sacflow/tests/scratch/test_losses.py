"""Losses on cases that can be followed by hand, and where their gradients go."""

import math
from types import SimpleNamespace

import pytest
import torch
from scratch_agents import KINDS, make_agent, make_batch, make_noise, unsettle
from torch import Tensor

from offlow_sacflow.scratch.losses import actor_loss, alpha_loss, critic_loss

HALF = torch.tensor(0.5)


class KnownCritic:
    """Values that are simply written down; remembers what it was called with."""

    def __init__(self, values: Tensor):
        self._values, self.calls = values, []

    def __call__(self, observations: Tensor, actions: Tensor, statistics: dict | None = None) -> Tensor:
        self.calls.append((observations, actions, statistics))
        return self._values


class KnownPolicy:
    """Samples that are simply written down."""

    def __init__(self, actions: Tensor, log_probs: Tensor):
        self._sample = SimpleNamespace(actions=actions, log_probs=log_probs)

    def sample(self, observations: Tensor, noise: None, statistics: dict | None = None) -> SimpleNamespace:
        self.is_training = statistics is not None
        return self._sample


def two_transitions() -> dict[str, Tensor]:
    """The second of them ends its episode."""
    pairs = {name: torch.tensor(values) for name, values in (("rewards", [1.0, 2.0]), ("masks", [1.0, 0.0]))}
    return pairs | {name: make_batch(2)[name] for name in ("observations", "actions", "next_observations")}


NEXT_VALUES, VALUES = torch.tensor([[3.0, 9.0], [4.0, 8.0]]), torch.tensor([[2.0, 2.0], [4.0, 1.0]])
# least next values 3 and 8, entropies 4 and -6 with weight 0.5: 5 and 5; targets 1 + 0.9 * 5 and 2
TARGET = [5.5, 2.0]
# errors (-3.5, 0) and (-1.5, -1)
LOSS = 0.5 * (3.5**2 / 2) + 0.5 * (1.5**2 + 1) / 2


def test_the_bellman_error_by_hand_without_targets():
    policy, batch = KnownPolicy(torch.zeros(2, 2), torch.tensor([-4.0, 6.0])), two_transitions()
    critic = KnownCritic(torch.cat([VALUES, NEXT_VALUES], 1))
    loss, parts, statistics = critic_loss(critic, None, policy, HALF, batch, None, 0.9)
    assert parts["target"].tolist() == pytest.approx(TARGET)
    assert loss.item() == pytest.approx(LOSS)
    assert parts["values"].tolist() == VALUES.tolist()
    ((observations, actions, used),) = critic.calls  # one pass, current pairs first
    assert torch.equal(observations, torch.cat([batch["observations"], batch["next_observations"]]))
    assert torch.equal(actions, torch.cat([batch["actions"], torch.zeros(2, 2)]))
    assert used is statistics
    assert not policy.is_training


def test_the_bellman_error_by_hand_with_targets():
    policy, batch = KnownPolicy(torch.zeros(2, 2), torch.tensor([-4.0, 6.0])), two_transitions()
    critic, target_critic = KnownCritic(VALUES), KnownCritic(NEXT_VALUES)
    loss, parts, statistics = critic_loss(critic, target_critic, policy, HALF, batch, None, 0.9)
    assert parts["target"].tolist() == pytest.approx(TARGET)
    assert loss.item() == pytest.approx(LOSS)
    assert critic.calls[0][2] is statistics
    assert target_critic.calls[0][2] is None  # eval mode


def test_the_policys_loss_by_hand():
    policy = KnownPolicy(torch.zeros(2, 2), torch.tensor([-4.0, 6.0]))
    critic = KnownCritic(NEXT_VALUES)
    loss, parts, _ = actor_loss(policy, critic, HALF, make_batch(2), None)
    assert parts["action_values"].tolist() == [3.0, 8.0]
    assert loss.item() == pytest.approx(((-2 - 3) + (3 - 8)) / 2)
    assert policy.is_training
    assert critic.calls[0][2] is None


def test_alphas_loss_by_hand():
    log_alpha = torch.tensor(math.log(0.3), requires_grad=True)
    loss = alpha_loss(log_alpha, torch.tensor([1.0, 3.0]), 0.5)
    assert loss.item() == pytest.approx(0.3 * (-2 - 0.5))
    # An entropy below its target makes the gradient negative, so that alpha grows.
    assert torch.autograd.grad(loss, log_alpha)[0].item() == pytest.approx(loss.item())


@pytest.mark.parametrize("crossq_style", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_target_is_a_constant(kind, crossq_style):
    agent = unsettle(make_agent(kind, crossq_style=crossq_style))
    batch, noise = make_batch(), make_noise(agent).critic
    loss, parts, statistics = critic_loss(
        agent.critic, agent.critic_target, agent.flow_policy, agent.alpha, batch, noise, 0.9
    )
    others = [*agent.actor.parameters(), agent.log_alpha]
    assert torch.autograd.grad(loss, others, allow_unused=True, retain_graph=True) == (None,) * len(others)
    gradients = torch.autograd.grad(loss, list(agent.critic.parameters()))
    observations, actions = batch["observations"], batch["actions"]
    if crossq_style:
        observations = torch.cat([observations, batch["next_observations"]])
        actions = torch.cat([actions, parts["next_actions"]])
    values = agent.critic(observations, actions, {})[:, : len(batch["actions"])]
    by_hand = sum(0.5 * ((parts["target"] - values[n]) ** 2).mean() for n in range(2))
    expected = torch.autograd.grad(by_hand, list(agent.critic.parameters()))
    for found, reference in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, reference)
    assert set(statistics) == set(agent.critic.norms)


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_feels_the_critics_and_its_entropy_through_all_steps(kind):
    """Central differences in float64, with layers that correct their moments; frozen r and d are seen to below."""
    agent = unsettle(make_agent(kind, path_logprob="exact") if kind == "flow_t" else make_agent(kind))
    agent.actor.double()
    agent.critic.double()
    batch = {name: array.double() for name, array in make_batch().items()}
    noise = type(make_noise(agent).actor)(*(part.double() for part in make_noise(agent).actor))

    def value() -> Tensor:
        return actor_loss(agent.flow_policy, agent.critic, agent.alpha.double(), batch, noise)[0]

    parameters = agent.actor_parameters
    gradients = torch.autograd.grad(value(), parameters)
    step, checked = 1e-5, 0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        index = gradient.abs().argmax()
        flat = parameter.data.view(-1)
        kept = flat[index].item()
        flat[index] = kept + step
        above = value().item()
        flat[index] = kept - step
        below = value().item()
        flat[index] = kept
        expected = gradient.reshape(-1)[index].item()
        assert (above - below) / (2 * step) == pytest.approx(expected, rel=1e-4, abs=1e-8)
        checked += abs(expected) > 1e-6
    assert checked >= len(parameters) / 2
