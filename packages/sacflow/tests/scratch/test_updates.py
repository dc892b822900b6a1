"""What an update does and leaves alone, and where it follows the official code against expectation."""

import math

import pytest
import torch
from scratch_agents import ACTIONS, KINDS, ROWS, make_agent, make_batch, make_noise, unsettle
from torch import Tensor

from offlow_core.option_checks import OptionError
from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.losses import actor_loss
from offlow_sacflow.scratch.policy import ActionRange


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def changed(agent: SacFlow, before: dict[str, Tensor]) -> set[str]:
    """First words of the names of what is no longer as it was."""
    after = agent.state()
    return {name.split("/")[0] for name in before if not torch.equal(before[name], after[name])}


def train(agent: SacFlow, updates: int, first: int = 0) -> dict[str, Tensor]:
    for k in range(first, first + updates):
        metrics = agent.update(make_batch(seed=k), make_noise(agent, seed=k), agent.prepare(k))
    return metrics


@pytest.mark.parametrize("kind", KINDS)
def test_a_fixed_weight_of_0_leaves_the_entropy_out(kind):
    agent = make_agent(kind, alpha=0.0, autotune=False, policy_delay=1)
    metrics = {name: value.item() for name, value in train(agent, 3).items()}
    assert agent.alpha == 0
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["actor/actor_loss"] == pytest.approx(-metrics["actor/q_mean"])
    assert all(tensor.isfinite().all() for tensor in agent.state().values())


@pytest.mark.parametrize(("delay", "expected"), [(1, [True] * 4), (3, [False, False, True, False])])
def test_the_policy_moves_after_every_so_many_updates(delay, expected):
    agent = make_agent("naive", policy_delay=delay)
    assert [agent.prepare(updates) for updates in range(4)] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_update_changes(kind):
    agent = make_agent(kind)
    before, batch = copied(agent.state()), make_batch()
    metrics = agent.update(batch, make_noise(agent), False)
    assert changed(agent, before) == {"critic", "critic_adam"}
    assert set(metrics) == set(agent.metric_names)
    before = copied(agent.state())
    metrics = agent.update(batch, make_noise(agent), True)
    everything = {"critic", "critic_adam", "actor", "actor_adam", "alpha", "alpha_adam", "latest"}
    assert changed(agent, before) == everything == {name.split("/")[0] for name in before}
    assert all(parameter.requires_grad for parameter in agent.critic.parameters())
    # Until it moves again the policy's last metrics are reported.
    again = agent.update(batch, make_noise(agent, 1), False)
    for name in agent.metric_names:
        assert (again[name] == metrics[name]) == (not name.startswith("critic/")), name


@pytest.mark.parametrize("kind", KINDS)
def test_losses_without_an_update_are_those_of_one_and_change_nothing(kind):
    agent = unsettle(make_agent(kind, q_lr=1e-12, batch_norm_momentum=1.0))  # critics that stay as they are
    batch, noise = make_batch(), make_noise(agent)
    before = copied(agent.state())
    losses = agent.losses(batch, noise)
    assert changed(agent, before) == set()
    metrics = agent.update(batch, noise, True)
    assert set(losses) == set(metrics)
    for name, value in metrics.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("crossq_style", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_restored_goes_on_the_same(kind, crossq_style):
    whole, parts = (make_agent(kind, crossq_style=crossq_style, tau=0.1) for _ in range(2))
    train(parts, 2)
    restored = make_agent(kind, seed=7, crossq_style=crossq_style, tau=0.1)
    load_arrays(restored.state(), to_arrays(parts.state()))
    expected, found = train(whole, 6), train(restored, 4, first=2)
    assert {name: value.item() for name, value in found.items()} == {n: value.item() for n, value in expected.items()}
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, restored.state()[name]), name


def test_without_crossq_targets_follow_parameters_and_statistics():
    agent = unsettle(make_agent("naive", crossq_style=False, tau=0.25))
    before = copied(agent.critic_target.state_dict())
    agent.update(make_batch(), make_noise(agent), False)
    online = agent.critic.state_dict()
    for name, tensor in agent.critic_target.state_dict().items():
        torch.testing.assert_close(tensor, 0.75 * before[name] + 0.25 * online[name])
    assert agent.critic_target.norms[0].steps.tolist() == [0.25, 0.25]
    assert not any(parameter.requires_grad for parameter in agent.critic_target.parameters())


def test_with_crossq_there_are_no_targets():
    agent = make_agent("naive")
    assert agent.critic_target is None
    assert not any(name.startswith("critic_target") for name in agent.state())


def test_alpha_has_the_critics_step_size_and_a_loss_in_alpha_itself():
    agent = make_agent("naive", q_lr=0.01, target_entropy=1.0, alpha=0.3)
    metrics = agent.update(make_batch(), make_noise(agent), True)
    assert metrics["alpha/alpha"].item() == pytest.approx(0.3)
    entropy = metrics["actor/entropy"].item()
    assert metrics["alpha/alpha_loss"].item() == pytest.approx(0.3 * (entropy - 1), rel=1e-5)
    # Adam's first step is the step size, against the sign of the gradient.
    step = math.copysign(0.01, entropy - 1)
    assert agent.log_alpha.item() == pytest.approx(math.log(0.3) - step, abs=1e-6)


def test_alpha_may_stay():
    agent = make_agent("naive", autotune=False, alpha=0.3)
    metrics = train(agent, 3)
    assert agent.alpha.item() == pytest.approx(0.3)
    assert not any(name.startswith("alpha") for name in [*metrics, *agent.state(), *agent.metric_names])


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_moves_against_the_critics_just_updated(kind):
    agent, reference = unsettle(make_agent(kind)), unsettle(make_agent(kind))
    batch, noise = make_batch(), make_noise(agent)
    metrics = agent.update(batch, noise, True)
    reference.update(batch, noise, False)
    loss, _, _ = actor_loss(reference.flow_policy, reference.critic, reference.alpha, batch, noise.actor)
    torch.testing.assert_close(metrics["actor/actor_loss"], loss.detach())


def test_flow_t_has_no_entropy_gradient_in_its_scales_unless_asked_for():
    """With critics that are constant, and far from saturation, only the exact likelihood raises the entropy."""
    movement = {}
    for mode in ("upstream", "exact"):
        agent = make_agent("flow_t", path_logprob=mode)
        bias = agent.actor.log_std_head.bias
        sample = agent.flow_policy.sample(make_batch()["observations"], make_noise(agent).actor, {})
        path_only = sample.path.log_prob.mean()
        if mode == "upstream":
            assert not path_only.requires_grad
            expected = [float(draws.square().sum()) for draws in make_noise(agent).actor]
            values = -0.5 * sum(expected) / ROWS - 4 * ACTIONS * 0.5 * math.log(2 * math.pi)
            assert path_only.item() == pytest.approx(values, rel=1e-5)
        else:
            gradient = torch.autograd.grad(path_only, bias)[0]
            assert (gradient < 0).all()
        movement[mode] = path_only.item()
    scales = sum(log_std.sum(-1).mean().item() for log_std in sample.path.log_stds)
    jacobian = -3 * ACTIONS * math.log(3)  # three steps, whose noise is divided by their number
    assert movement["upstream"] - movement["exact"] == pytest.approx(scales + jacobian, rel=1e-4)


@pytest.mark.parametrize(("kind", "factor"), [("flow_t", 1 / 3), ("flow_g", 1.0), ("naive", 1.0)])
def test_noise_of_a_step_is_scaled_by_its_length_in_flow_t_alone(kind, factor):
    agent = make_agent(kind)
    noise = make_noise(agent).actor
    path = agent.flow_policy.sample(make_batch()["observations"], noise).path
    x = noise.start
    for u, log_std, draw in zip(path.velocities, path.log_stds, noise.steps, strict=True):
        x = x + u / 3 + factor * log_std.exp() * draw
    torch.testing.assert_close(path.end, x)


@pytest.mark.parametrize("steps", [0, 100_000])
def test_null_parameters_have_no_gradient_and_all_others_do(steps):
    agent = unsettle(make_agent("flow_t", path_logprob="exact"), steps)
    agent.actor.double()
    agent.critic.double()
    batch = {name: array.double() for name, array in make_batch().items()}
    noise = type(make_noise(agent).actor)(*(part.double() for part in make_noise(agent).actor))
    loss, _, _ = actor_loss(agent.flow_policy, agent.critic, agent.alpha, batch, noise)
    gradients = dict(zip(agent.actor_parameters, torch.autograd.grad(loss, agent.actor_parameters), strict=True))
    null = set(agent.actor.null_parameters())
    assert len(null) == len(agent.actor.null_parameters())
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for name, parameter in agent.actor.named_parameters():
        found = gradients[parameter].abs().max() / largest
        assert found < 1e-12 if parameter in null else found > 1e-8, (name, found)


def test_null_parameters_can_be_frozen():
    free, frozen = make_agent("flow_t"), make_agent("flow_t", freeze_null_params=True)
    before = {name: tensor.clone() for name, tensor in free.actor.state_dict().items()}
    for agent in (free, frozen):
        train(agent, 3)
    null = {id(parameter) for parameter in frozen.actor.null_parameters()}
    for name, parameter in frozen.actor.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) in null), name
    moved = dict(free.actor.named_parameters())
    assert not torch.equal(moved["decoder.time.layers.0.weight"], before["decoder.time.layers.0.weight"])
    with pytest.raises(OptionError, match="freeze_null_params needs use_batch_norm"):
        make_agent("flow_t", freeze_null_params=True, use_batch_norm=False)


@pytest.mark.parametrize("steps", [0, 100_000])
def test_batch_renormalisation_takes_the_time_from_the_naive_network_in_train_mode(steps):
    agent, batch = unsettle(make_agent("naive"), steps), make_batch()
    x = torch.randn(ROWS, ACTIONS, generator=torch.Generator().manual_seed(0))
    early, late = (agent.actor.field(batch["observations"], {})(x, step)[0] for step in (0, 2))
    torch.testing.assert_close(early, late)
    early, late = (agent.actor.field(batch["observations"])(x, step)[0] for step in (0, 2))
    assert not torch.allclose(early, late, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_without_batch_renormalisation(kind):
    agent = make_agent(kind, use_batch_norm=False)
    metrics = train(agent, 3)
    assert all(value.isfinite() for value in metrics.values())
    kinds = {type(module).__name__ for network in (agent.actor, agent.critic) for module in network.modules()}
    assert "BatchRenorm" not in kinds
    assert ("RowNorm" in kinds) == (kind == "flow_t")
    assert not any(name.endswith(".mean") for name in agent.state())
    batch, noise = make_batch(), make_noise(agent).actor
    modes = [agent.flow_policy.sample(batch["observations"], noise, mode).actions for mode in (None, {})]
    assert torch.equal(*modes)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_observations_leave_everything_finite(kind):
    for steps in (0, 100_000):
        agent = unsettle(make_agent(kind), steps)
        batch = make_batch()
        for name in ("observations", "next_observations"):
            batch[name][:, :2] = 1.0
        agent.update(batch, make_noise(agent), True)
        assert all(tensor.isfinite().all() for tensor in agent.state().values())


def test_the_range_of_actions_must_be_finite():
    place = torch.device("cpu")
    found = ActionRange.between([-1.0, 0.0], [1.0, 0.5], place)
    assert (found.scale.tolist(), found.offset.tolist()) == ([1.0, 0.25], [0.0, 0.25])
    for low, high in (([-math.inf], [1.0]), ([1.0], [1.0])):
        with pytest.raises(OptionError, match="finite bounds"):
            ActionRange.between(low, high, place)
