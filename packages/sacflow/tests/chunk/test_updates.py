"""What an update does and leaves alone, and where it follows the official code against expectation."""

import math

import pytest
import torch
from chunk_agents import (
    KINDS,
    ROWS,
    SAC,
    TWO_UPDATES,
    changed,
    copied,
    generator,
    make_agent,
    make_batch,
)
from torch import Tensor

from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_sacflow.chunk.agent import ChunkAgent, gradient_metrics

ACTORS = {
    "acfql": {"flow", "actor"},
    "chunk_naive": {"flow", "actor"},
    "chunk_flow_t": {"field"},
    "chunk_flow_g": {"field"},
}


def step(agent: ChunkAgent, seed: int = 0) -> dict[str, Tensor]:
    return agent.update(make_batch(agent, seed), agent.draw_noise(generator(seed)), agent.prepare(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_step_changes(kind):
    agent = make_agent(kind)
    step(agent)  # whose targets are still equal to the critics
    before = copied(agent.state())
    metrics = step(agent, 1)
    weight = {"entropy_weight"} if kind in SAC else set()
    assert changed(agent, before) == {"critic", "critic_target", "adam", *ACTORS[kind], *weight}
    assert set(metrics) == set(agent.metric_names)
    assert all(value.isfinite() for value in metrics.values())
    assert all(parameter.requires_grad for parameter in agent.networks.parameters())


def test_the_best_of_n_has_no_other_actor_than_the_flow():
    agent = make_agent("acfql", actor_type="best-of-n")
    before = copied(agent.state())
    step(agent)
    metrics = step(agent, 1)
    assert changed(agent, before) == {"critic", "critic_target", "adam", "flow"}
    assert metrics["actor/distill_loss"] == 0
    assert agent.draw_noise(generator()).next_starts.shape == (ROWS, 4, agent.flat_dim)


@pytest.mark.parametrize("action_chunking", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_without_an_update_are_those_of_one_and_change_nothing(kind, action_chunking):
    agent = (
        make_agent(kind, action_chunking=action_chunking, lr=1e-12, alpha_lr=1e-12)
        if kind in SAC
        else make_agent(kind, action_chunking=action_chunking, lr=1e-12)
    )
    batch, noise = make_batch(agent), agent.draw_noise(generator())
    before = copied(agent.state())
    losses = agent.losses(batch, noise)
    assert changed(agent, before) == set()
    metrics = agent.update(batch, noise, agent.prepare(0))
    assert set(losses) | {"grad/max", "grad/min", "grad/norm"} == set(metrics)
    for name, value in losses.items():
        torch.testing.assert_close(value, metrics[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_targets_follow_the_critics_before_their_step(kind):
    agent = make_agent(kind, tau=0.25)
    with torch.no_grad():
        for parameter in agent.critics.target.parameters():
            parameter.add_(1.0)
    critic, target = (copied(net.state_dict()) for net in (agent.critics.trained, agent.critics.target))
    batch, noise = make_batch(agent), agent.draw_noise(generator())
    if kind == "acfql":
        agent.update(batch, noise)
    else:
        agent.online_update(batch, noise.online)
    for name, value in agent.critics.target.state_dict().items():
        torch.testing.assert_close(value, 0.75 * target[name] + 0.25 * critic[name])


@pytest.mark.parametrize("kind", TWO_UPDATES)
def test_an_offline_step_is_an_imitating_and_an_online_update_on_the_same_batch(kind):
    whole, parts = make_agent(kind), make_agent(kind)
    batch, noise = make_batch(whole), whole.draw_noise(generator())
    metrics = whole.update(batch, noise, whole.prepare(0))
    first = parts.imitation_update(batch, noise.imitation)
    second = parts.online_update(batch, noise.online)
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, parts.state()[name]), name
    assert whole.state()["adam/0/step"] == 2
    assert second["actor/bc_flow_loss"] == 0 != first["actor/bc_flow_loss"]
    expected = second | {"actor/bc_flow_loss": first["actor/bc_flow_loss"]}
    assert {name: value.item() for name, value in metrics.items()} == {n: v.item() for n, v in expected.items()}


@pytest.mark.parametrize("kind", TWO_UPDATES)
def test_online_steps_are_one_update_with_another_weight(kind):
    agent, other = (make_agent(kind, alpha=3.0, online_alpha=7.0) for _ in range(2))
    assert agent.prepare(0) == "offline"
    for each in (agent, other):
        each.begin_online()
    assert agent.prepare(0) == "online"
    batch, noise = make_batch(agent), agent.draw_noise(generator())
    metrics = agent.update(batch, noise, agent.prepare(0))
    assert agent.state()["adam/0/step"] == 1
    other.online_update(batch, noise)
    assert changed(agent, other.state()) == set()
    gained = metrics["actor/q_loss"] if kind in SAC else metrics["actor/actor_loss"] - 7 * metrics["actor/distill_loss"]
    torch.testing.assert_close(metrics["actor/actor_loss"], 7.0 * metrics["actor/distill_loss"] + gained)
    offline = make_agent(kind, alpha=3.0, online_alpha=7.0).online_update(batch, noise)
    difference = metrics["actor/actor_loss"] - offline["actor/actor_loss"]
    torch.testing.assert_close(difference, 4.0 * metrics["actor/distill_loss"])


def test_a_flow_without_a_gradient_moves_on_by_its_momentum():
    still, moving = make_agent("chunk_naive"), make_agent("chunk_naive")
    batch, noise = make_batch(still), still.draw_noise(generator())
    moving.imitation_update(batch, noise.imitation)
    for agent, expected in ((still, False), (moving, True)):
        before = copied(agent.flow.state_dict())
        agent.online_update(batch, noise.online)
        after = agent.flow.state_dict()
        assert any((after[name] != before[name]).any() for name in before) == expected


def test_weight_decay_shrinks_what_has_no_gradient_too():
    agent = make_agent("acfql", actor_type="best-of-n", weight_decay=0.5, lr=0.1)
    before = copied(agent.actor.state_dict())
    step(agent)
    for name, value in agent.actor.state_dict().items():
        torch.testing.assert_close(value, 0.95 * before[name])


@pytest.mark.parametrize(("sign", "grows"), [("upstream", False), ("sac", True)])
@pytest.mark.parametrize("kind", SAC)
def test_which_way_the_entropys_weight_goes(kind, sign, grows):
    agent = make_agent(kind, alpha_loss_sign=sign)
    agent.begin_online()
    for seed in range(3):
        assert step(agent, seed)["actor/actor_entropy"] < 0  # below its target, as noise of this scale always is
    assert (agent.entropy_weight.value > 0.2).item() == grows
    assert agent.entropy_weight.value.item() == pytest.approx(0.2 * math.exp(3e-4 * 3 * (1 if grows else -1)), rel=1e-5)


@pytest.mark.parametrize("kind", SAC)
def test_the_losses_take_the_entropys_weight_before_its_step(kind):
    agent = make_agent(kind, alpha_lr=0.5)
    agent.begin_online()
    assert step(agent)["alpha/alpha_value"] == pytest.approx(0.2)
    changed_value = agent.entropy_weight.value.item()
    assert changed_value != pytest.approx(0.2, rel=0.1)
    assert step(agent, 1)["alpha/alpha_value"].item() == changed_value


@pytest.mark.parametrize("kind", SAC)
def test_an_entropys_weight_that_is_not_learned_stays(kind):
    agent = make_agent(kind, autotune_alpha=False, sac_alpha=0.5)
    metrics = step(agent)
    assert (metrics["alpha/alpha_value"], metrics["alpha/alpha_loss"]) == (pytest.approx(0.5), 0)
    assert agent.entropy_weight.value.item() == pytest.approx(0.5)
    assert not any(name.startswith("entropy_weight") for name in agent.state())


def test_an_imitating_update_is_a_step_of_the_entropys_weight_with_a_gradient_of_zero():
    agent = make_agent("chunk_flow_g")
    batch, noise = make_batch(agent), agent.draw_noise(generator())
    agent.imitation_update(batch, noise.imitation)
    assert agent.entropy_weight.value.item() == pytest.approx(0.2)
    assert agent.state()["entropy_weight/adam/0/step"] == 1


@pytest.mark.parametrize("kind", SAC)
def test_noise_on_the_way_is_fresh_or_the_same_for_all_steps_updates_and_seeds(kind):
    fresh, fixed = (make_agent(kind, rollout_noise=each) for each in ("fresh", "fixed"))
    rollouts = fresh.draw_online_noise(generator())
    numbers = torch.cat([part.flatten() for rollout in rollouts for part in rollout])
    assert len(numbers.unique()) == 2 * (3 + 1) * ROWS * fresh.flat_dim
    first = fixed.draw_online_noise(generator())
    again = make_agent(kind, seed=5, rollout_noise="fixed").draw_imitation_noise(generator(3)).next_rollout
    for rollout in (*first, again):
        assert torch.equal(rollout.steps, first.next_rollout.steps[:1].expand(3, -1, -1))
    assert len(first.next_rollout.steps.unique()) == ROWS * fixed.flat_dim
    assert not torch.equal(first.next_rollout.start, first.actor_rollout.start)
    assert not torch.equal(first.next_rollout.start, again.start)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("online", [False, True])
def test_saved_and_restored_goes_on_the_same(kind, online):
    whole, parts = make_agent(kind), make_agent(kind)
    restored = make_agent(kind, seed=7)
    for agent in (whole, parts, restored):
        if online and kind in TWO_UPDATES:
            agent.begin_online()
    for seed in range(2):
        step(parts, seed)
    load_arrays(restored.state(), to_arrays(parts.state()))
    for seed in range(4):
        expected = step(whole, seed)
    for seed in (2, 3):
        found = step(restored, seed)
    assert {name: value.item() for name, value in found.items()} == {n: value.item() for n, value in expected.items()}
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, restored.state()[name]), name


def test_the_constant_critics_stay_those_that_are_trained():
    agent = make_agent("chunk_flow_g")
    step(agent)
    load_arrays(agent.state(), to_arrays(make_agent("chunk_flow_g", seed=3).state()))
    step(agent)
    for mine, constant in zip(agent.critics.trained.parameters(), agent.critics.constant.parameters(), strict=True):
        assert mine.data_ptr() == constant.data_ptr()


@pytest.mark.parametrize("kind", SAC)
def test_a_fixed_weight_of_0_leaves_the_entropy_out(kind):
    agent = make_agent(kind, sac_alpha=0.0, autotune_alpha=False)
    metrics = {name: value.item() for name, value in step(agent).items()}
    assert metrics["alpha/alpha_value"] == 0
    assert all(math.isfinite(value) for value in metrics.values())
    distance = agent.config.alpha * metrics["actor/distill_loss"]
    assert metrics["actor/actor_loss"] == pytest.approx(distance + metrics["actor/q_loss"])
    assert all(tensor.isfinite().all() for tensor in agent.state().values())


def test_gradient_metrics_by_hand():
    found = gradient_metrics([torch.tensor([[3.0, -4.0]]), torch.tensor([0.0]), torch.tensor([2.0])])
    assert {name: value.item() for name, value in found.items()} == {"grad/max": 3, "grad/min": -4, "grad/norm": 7}
