"""Losses on cases that can be followed by hand, and where their gradients go."""

import math

import numpy as np
import pytest
import torch

from offlow_diffusion_ql.agent import DiffusionQl
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.families import make_family, make_policy_network
from offlow_diffusion_ql.generative_policy import ChainNoise, CloningNoise
from offlow_diffusion_ql.losses import (
    bellman_target,
    normalised_q_loss,
    select_candidates,
    selection_probabilities,
)

CPU = torch.device("cpu")
SMALL = {"actor_hidden": 8, "critic_hidden": 8, "time_dim": 4, "batch_size": 5}


def make_agent(**changes) -> DiffusionQl:
    return DiffusionQl(DiffusionQlConfig(**(SMALL | changes)), 3, 2, seed=1, device=CPU)


def make_batch(rows: int = 5, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator}
    return {
        "observations": torch.randn(rows, 3, **draw),
        "actions": torch.rand(rows, 2, **draw) * 2 - 1,
        "rewards": torch.randn(rows, **draw),
        "masks": torch.ones(rows),
        "next_observations": torch.randn(rows, 3, **draw),
    }


def make_noise(agent: DiffusionQl, seed: int = 0):
    return agent.draw_noise(torch.Generator().manual_seed(seed))


class KnownCritic:
    """Values that are simply written down."""

    def __init__(self, values: torch.Tensor):
        self._values = values

    def __call__(self, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return self._values


def test_the_max_q_backup_takes_each_heads_best_action_before_the_lesser_head():
    agent = make_agent(max_q_backup=True, max_q_repeats=2)
    values = torch.tensor([[[1.0, 4.0]], [[3.0, 2.0]]])  # the best of the lesser values would be 2
    batch = make_batch(1) | {"rewards": torch.tensor([0.5]), "masks": torch.tensor([1.0])}
    noise = ChainNoise(torch.zeros(1, 2, 2), torch.zeros(4, 1, 2, 2))
    target, _ = bellman_target(agent.actor_ema, KnownCritic(values), agent.family, batch, noise, 0.9)
    assert target.tolist() == pytest.approx([0.5 + 0.9 * 3.0])
    ended = batch | {"masks": torch.tensor([0.0])}
    target, _ = bellman_target(agent.actor_ema, KnownCritic(values), agent.family, ended, noise, 0.9)
    assert target.tolist() == [0.5]


def test_candidates_of_a_state_stay_with_it():
    critic = make_agent().critic
    batch = make_batch(4)
    actions = torch.randn(4, 3, 2)
    together = critic(batch["observations"], actions)
    one_by_one = torch.stack([critic(batch["observations"], actions[:, i]) for i in range(3)], 2)
    torch.testing.assert_close(together, one_by_one)
    agent = make_agent()
    noise = torch.randn(5, 4, 3, 2)
    states = agent.actor.of_states(batch["observations"])
    together = agent.family.sample(agent.actor, states[:, None], ChainNoise.of(noise))
    for i in range(3):
        torch.testing.assert_close(
            together[:, i], agent.family.sample(agent.actor, states, ChainNoise.of(noise[:, :, i]))
        )


@pytest.mark.parametrize(("head", "expected"), [(0.51, -2.0 / 3.0), (0.5, -1.0 / 3.0)])
def test_one_head_is_climbed_and_the_other_scales_it(head, expected):
    values = torch.tensor([[1.0, 3.0], [-2.0, 4.0]], requires_grad=True)
    loss = normalised_q_loss(values, torch.tensor(head))
    assert loss.item() == pytest.approx(expected if head > 0.5 else -1.0 / 2.0)
    (gradient,) = torch.autograd.grad(loss, values)
    silent, climbed = (1, 0) if head > 0.5 else (0, 1)
    scale = 3.0 if head > 0.5 else 2.0
    assert gradient[silent].tolist() == [0, 0]  # the scale is a constant
    assert gradient[climbed].tolist() == pytest.approx([-0.5 / scale] * 2)


def test_the_flows_imitation_loss_is_a_distance_that_is_not_squared():
    config = DiffusionQlConfig(**SMALL, policy="flow")
    network = make_policy_network(config, 3, 2)
    for parameter in network.parameters():
        parameter.data.zero_()  # its velocity is 0
    actions, start = torch.tensor([[0.3, 0.4], [0.0, 0.0]]), torch.zeros(2, 2)
    noise = CloningNoise(torch.tensor([0.2, 0.7]), start)
    observations = torch.zeros(2, 3)
    loss = make_family(config, CPU).cloning_loss(network, observations, actions, noise)
    assert loss.item() == pytest.approx((0.5 + 0.0) / 2)
    squared = make_family(DiffusionQlConfig(**SMALL, policy="flow", flow_loss="mse"), CPU)
    assert squared.cloning_loss(network, observations, actions, noise).item() == pytest.approx((0.09 + 0.16) / 4)
    single = make_family(config, CPU).cloning_loss(
        network, observations[:1], actions[:1], CloningNoise(*(x[:1] for x in noise))
    )
    assert single.item() == pytest.approx(0.5)


def test_a_flow_with_constant_velocity_takes_exactly_one_unit_of_time():
    for steps in (5, 49, 98, 196):
        config = DiffusionQlConfig(**SMALL, policy="flow", n_timesteps=steps)
        network = make_policy_network(config, 3, 2)
        for parameter in network.parameters():
            parameter.data.zero_()
        network.body.layers[-1].bias.data[:] = torch.tensor([0.3, -0.6])
        start = torch.tensor([[0.5, -0.2]])
        actions = make_family(config, CPU).sample(
            network, network.of_states(torch.zeros(1, 3)), ChainNoise.of(start[None])
        )
        assert actions[0].tolist() == pytest.approx([0.8, -0.8], abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": "diffusion"},
        {"policy": "diffusion", "beta_schedule": "cosine", "predict_epsilon": False, "n_timesteps": 4},
        {"policy": "flow", "n_timesteps": 4},
    ],
    ids=["noise", "action", "flow"],
)
def test_the_q_gradient_runs_through_the_whole_chain(changes):
    """Against central differences in float64; with a narrow bound clamps hold in some places and not in others."""
    agent = make_agent(**changes, max_action=0.6)
    agent.actor.body.layers[-1].weight.data *= 30.0  # strong enough an output to reach the bound
    network, critic = agent.actor.double(), agent.critic.double()
    noise = make_noise(agent).actor
    noise = ChainNoise(noise.start.double(), noise.steps.double())
    states = make_batch()["observations"].double()

    def value() -> torch.Tensor:
        actions = agent.family.sample(network, network.of_states(states), noise)
        return critic(states, actions)[0].mean()

    with torch.no_grad():
        actions = agent.family.sample(network, network.of_states(states), noise)
        assert 0 < (actions.abs() > 0.6 - 1e-6).double().mean() < 1
        if agent.config.policy == "diffusion":
            assert 0 < share_clamped_on_the_way(agent, network, states, noise) < 1
    gradients = torch.autograd.grad(value(), list(network.parameters()))
    step = 1e-6
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        flat, expected = parameter.data.view(-1), gradient.reshape(-1)
        for i in np.random.default_rng(0).choice(len(flat), min(6, len(flat)), replace=False):
            kept = flat[i].item()
            flat[i] = kept + step
            above = value().item()
            flat[i] = kept - step
            below = value().item()
            flat[i] = kept
            assert (above - below) / (2 * step) == pytest.approx(expected[i].item(), rel=1e-5, abs=1e-9)


def share_clamped_on_the_way(agent, network, states, noise) -> float:
    """Share of the predicted actions of all steps but the last that the bound has cut."""
    seen = []
    clamp = torch.Tensor.clamp
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "clamp", lambda x, low, high: seen.append(x.abs() > high) or clamp(x, low, high))
        agent.family.chain(network, network.of_states(states), noise)
    return torch.stack(seen[:-1]).double().mean().item()


def test_the_q_gradient_of_a_flow_can_be_cut_off():
    losses = {}
    for mode in ("full", "none"):
        agent = make_agent(policy="flow", flow_q_gradient=mode)
        noise, batch = make_noise(agent), make_batch()
        parameters = list(agent.actor.parameters())
        total, parts = agent.actor_gradients(batch, noise)
        imitation = agent.family.cloning_loss(agent.actor, batch["observations"], batch["actions"], noise.cloning)
        alone = torch.autograd.grad(imitation, parameters)
        difference = max((a - b).abs().max().item() for a, b in zip(total, alone, strict=True))
        losses[mode] = parts["actor_loss"].item()
        assert (difference == 0) is (mode == "none")
    assert losses["full"] == losses["none"]  # what is logged is the same


def test_the_policys_step_leaves_the_critics_alone():
    whole, critics_only = make_agent(), make_agent()
    batch, noise = make_batch(), make_noise(whole)
    whole.update(batch, noise, moves_average=False)
    gradients, _ = critics_only.critic_gradients(batch, noise)
    critics_only._critic_adam.step(gradients)
    for name, tensor in whole.critic.state_dict().items():
        assert torch.equal(tensor, critics_only.critic.state_dict()[name])
    assert all(parameter.requires_grad for parameter in whole.critic.parameters())


@pytest.mark.parametrize(
    ("updates", "moves"), [(0, False), (995, False), (999, False), (1000, True), (1001, False), (1005, True)]
)
def test_the_average_moves_late_and_every_fifth_time(updates, moves):
    agent = make_agent()
    assert agent.prepare(updates) is moves
    before = [tensor.clone() for tensor in agent.actor_ema.parameters()]
    agent.update(make_batch(), make_noise(agent), agent.prepare(updates))
    after = list(agent.actor_ema.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) is moves
    if moves:
        expected = [0.995 * a + 0.005 * b for a, b in zip(before, agent.actor.parameters(), strict=True)]
        for a, b in zip(after, expected, strict=True):
            torch.testing.assert_close(a, b)


def test_step_sizes_decay_by_interval_or_by_epoch():
    agent = make_agent(lr_decay=True, num_epochs=100, steps_per_epoch=10)
    agent.prepare(499)
    assert agent._actor_adam.lr == pytest.approx(3e-4)
    agent.prepare(500)  # 50 epochs of 10 updates: the first interval
    assert agent._critic_adam.lr == pytest.approx(3e-4 * 0.5 * (1 + math.cos(math.pi / 100)))
    agent = make_agent(lr_decay=True, lr_decay_unit="epoch", num_epochs=100, steps_per_epoch=10)
    agent.prepare(500)
    assert agent._actor_adam.lr == pytest.approx(1.5e-4)
    agent.prepare(5000)
    assert agent._actor_adam.lr == 0


def test_candidates_are_drawn_with_the_probabilities_of_their_lesser_values():
    values = torch.tensor([[[0.0, 1.0, 3.0]], [[2.0, 1.0, 0.5]]])
    expected = np.exp([0.0, 1.0, 0.5]) / np.exp([0.0, 1.0, 0.5]).sum()
    np.testing.assert_allclose(selection_probabilities(values)[0], expected, rtol=1e-6)
    n = 20_000
    uniform = (torch.arange(n) + 0.5) / n
    chosen = select_candidates(values.expand(2, n, 3), uniform)
    frequencies = np.bincount(chosen.numpy(), minlength=3) / n
    np.testing.assert_allclose(frequencies, expected, atol=1.0 / n)
    assert select_candidates(values, torch.tensor([1.0])).tolist() == [2]  # beyond a sum that rounding left below 1


def test_images_are_refused():
    from offlow_core.option_checks import OptionError
    from offlow_diffusion_ql.learner import make_agent as from_options

    with pytest.raises(OptionError, match=r"no image encoder: .* got 64x64x3"):
        from_options(DiffusionQlConfig(), (64, 64, 3), 2, seed=0, device=CPU)
