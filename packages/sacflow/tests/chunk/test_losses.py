"""Losses by hand, and which numbers reach which gradient."""

import math

import pytest
import torch
from chunk_agents import SAC, generator, make_agent, make_batch, make_config
from torch import Tensor

from offlow_sacflow.chunk.losses import Critics, bellman_loss, cloning_loss, entropy_loss, known_actions
from offlow_sacflow.chunk.noise import CloningNoise
from offlow_sacflow.chunk.sampling import aggregate, best_of_candidates, noisy_rollout
from offlow_sacflow.rollout import RolloutNoise


def two_rows() -> dict[str, Tensor]:
    """A chunk of two steps that ends, and one that runs over an end."""
    return {
        "observations": torch.zeros(2, 1),
        "actions": torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]]),
        "rewards": torch.tensor([[1.0, 3.0], [5.0, 7.0]]),
        "masks": torch.tensor([[1.0, 0.0], [1.0, 1.0]]),
        "valid": torch.tensor([[1.0, 1.0], [1.0, 0.0]]),
        "next_observations": torch.tensor([[[0.0], [10.0]], [[0.0], [20.0]]]),
    }


def critics(values: list[list[float]], next_values: list[list[float]]) -> Critics:
    """Two critics with these values of the batch and of what follows it, after checks of what they are asked."""

    def now(observations: Tensor, actions: Tensor) -> Tensor:
        assert observations.flatten().tolist() == [0, 0]
        assert actions.tolist() in ([[1, 2], [3, 4]], [[1], [3]])
        return torch.tensor(values)

    def after(observations: Tensor, actions: Tensor) -> Tensor:
        assert observations.flatten().tolist() == [10, 20]
        return torch.tensor(next_values)

    return Critics(now, now, after)


@pytest.mark.parametrize(("q_agg", "future"), [("mean", 3.0), ("min", 2.0)])
@pytest.mark.parametrize("action_chunking", [True, False])
def test_bellman_loss_by_hand(q_agg, future, action_chunking):
    config = make_config("acfql", horizon_length=2, discount=0.5, q_agg=q_agg, action_chunking=action_chunking)
    both = critics([[2.0, 100.0], [4.0, 100.0]], [[2.0, 50.0], [4.0, 50.0]])
    batch = two_rows()
    # The first chunk has ended: its target is its reward 3. The second is not valid, and counts in the mean of 4.
    loss, parts = bellman_loss(both, batch, torch.zeros(2, 2), 0.0, config)
    assert loss.item() == pytest.approx(((2 - 3) ** 2 + (4 - 3) ** 2) / 4)
    assert {name: parts[f"critic/{name}"].item() for name in ("q_mean", "q_max", "q_min")} == {
        "q_mean": 51.5,
        "q_max": 100.0,
        "q_min": 2.0,
    }
    # Going on, and with an entropy of its own for each row: 3 + 0.5^2 (Q - 1).
    batch["masks"] = torch.ones(2, 2)
    loss, _ = bellman_loss(both, batch, torch.zeros(2, 2), torch.tensor([1.0, 9.0]), config)
    target = 3 + 0.25 * (future - 1)
    assert loss.item() == pytest.approx(((2 - target) ** 2 + (4 - target) ** 2) / 4)


class Still:
    """A velocity field that is 1 everywhere, and notes where it is asked."""

    def context(self, observations: Tensor, times: Tensor) -> Tensor:
        return times

    def __call__(self, x: Tensor, step: int, context: Tensor) -> Tensor:
        self.seen = x, context[step]
        return torch.ones_like(x)


@pytest.mark.parametrize(
    ("action_chunking", "expected"),
    [
        # Errors are 1 - (a - x0): (1, 2) -> 0, -1, and (3, 4) -> -2, -3, the last of which is not valid.
        (True, (0 + 1 + 4 + 0) / 4),
        (False, (0 + 4) / 2),
    ],
)
def test_cloning_loss_by_hand(action_chunking, expected):
    config, field, batch = make_config("acfql", horizon_length=2, action_chunking=action_chunking), Still(), two_rows()
    size = 2 if action_chunking else 1
    times = torch.tensor([[0.25], [0.5]])
    loss = cloning_loss(field, batch, CloningNoise(torch.zeros(2, size), times), config)
    assert loss.item() == pytest.approx(expected)
    x, t = field.seen
    assert torch.equal(x, times * known_actions(batch, config))
    assert torch.equal(t, times)


def test_the_likelihood_of_a_noisy_rollout_by_hand():
    draws = torch.randn(4, 2, 3, generator=generator())  # a start and three steps of two rows
    draw = noisy_rollout(Still(), torch.zeros(2, 1), RolloutNoise.of(draws), std=0.5)
    end = draws[0] + 1 + 0.5 * draws[1:].sum(0)
    torch.testing.assert_close(draw.actions, end.tanh())
    density = -0.5 * (draws**2 + math.log(2 * math.pi)).sum((0, 2)) - 3 * 3 * math.log(0.5)
    torch.testing.assert_close(draw.log_probs, density - (1 - end.tanh() ** 2 + 1e-6).log().sum(1))


def test_the_best_candidate_is_that_of_the_aggregated_values():
    starts = torch.tensor([[[0.1], [-0.9], [5.0]]]) - 1  # the field leads to the same, plus 1
    table = {0.1: (4.0, 4.0), -0.9: (9.0, 0.0), 1.0: (2.0, 3.0)}  # clipped at 1

    def critic(observations: Tensor, actions: Tensor) -> Tensor:
        rounded = [round(value, 3) for value in actions.flatten().tolist()]
        return torch.tensor([[[table[value][i] for value in rounded]] for i in range(2)])

    for q_agg, expected in (("mean", -0.9), ("min", 0.1)):
        found = best_of_candidates(Still(), critic, torch.zeros(1, 1), starts, 2, q_agg)
        torch.testing.assert_close(found, torch.tensor([[expected]]))
    assert aggregate(torch.tensor([[1.0], [3.0]]), "mean").tolist() == [2.0]


@pytest.mark.parametrize("kind", SAC)
def test_rollouts_are_noisier_for_the_actor_than_for_the_target(kind):
    agent = make_agent(kind)
    batch, noise = make_batch(agent), agent.draw_online_noise(generator())
    with torch.no_grad():
        _, parts = agent.online_loss(batch, noise)
        following = batch["next_observations"][:, -1]
        draw = noisy_rollout(agent.field, following, noise.next_rollout, agent.config.inference_noise_std)
        own = noisy_rollout(agent.field, batch["observations"], noise.actor_rollout, agent.config.online_noise_std)
    torch.testing.assert_close(parts["next_actions"], draw.actions)
    torch.testing.assert_close(parts["next_log_probs"], draw.log_probs)
    torch.testing.assert_close(parts["actor/actor_entropy"], -own.log_probs.mean())


@pytest.mark.parametrize("kind", ["chunk_naive", *SAC])
def test_the_distance_and_the_value_in_the_actors_online_loss_do_not_ask_what_is_valid(kind):
    agent = make_agent(kind)
    batch, noise = make_batch(agent), agent.draw_online_noise(generator())
    assert (batch["valid"] == 0).any()
    valid = batch | {"valid": torch.ones_like(batch["valid"])}
    with torch.no_grad():
        found, other = (agent.online_loss(each, noise)[1] for each in (batch, valid))
    assert found["actor/actor_loss"] == other["actor/actor_loss"]
    assert found["critic/critic_loss"] < other["critic/critic_loss"]


@pytest.mark.parametrize("q_agg", ["mean", "min"])
def test_the_actor_climbs_the_mean_of_the_critics(q_agg):
    agent = make_agent("acfql", q_agg=q_agg, alpha=0.0)
    batch, noise = make_batch(agent), agent.draw_noise(generator())
    with torch.no_grad():
        _, parts = agent.loss(batch, noise)
        actions = agent.actor(batch["observations"], noise.actor_starts).clamp(-1, 1)
        expected = parts["actor/bc_flow_loss"] - agent.critics.trained(batch["observations"], actions).mean()
    torch.testing.assert_close(parts["actor/actor_loss"], expected)


@pytest.mark.parametrize(
    ("kind", "actors"),
    [
        ("acfql", {"flow", "actor"}),
        ("chunk_naive", {"actor"}),
        ("chunk_flow_t", {"field"}),
        ("chunk_flow_g", {"field"}),
    ],
)
def test_the_actors_loss_reaches_through_the_critics_and_leaves_them_alone(kind, actors):
    agent = make_agent(kind)
    batch = make_batch(agent)

    def trained(batch: dict[str, Tensor]) -> set[str]:
        if kind == "acfql":
            loss, _ = agent.loss(batch, agent.draw_noise(generator()))
        else:
            loss, _ = agent.online_loss(batch, agent.draw_online_noise(generator()))
        return {name.split(".")[0] for name, gradient in agent.gradients(loss).items() if gradient.any()}

    assert trained(batch) == {"critic", *actors}
    assert trained(batch | {"valid": torch.zeros_like(batch["valid"])}) == actors - {"flow"}


@pytest.mark.parametrize(("sign", "expected"), [("upstream", 0.5 * (3 - 2)), ("sac", 0.5 * (-3 - 2))])
def test_the_loss_of_the_entropys_weight(sign, expected):
    config = make_config("chunk_flow_t", alpha_loss_sign=sign, target_entropy=2.0)
    assert entropy_loss(torch.tensor(0.5), torch.tensor(3.0), config).item() == pytest.approx(expected)
