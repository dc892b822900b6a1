"""DeFlow's actor in numbers worked out by hand, and its peculiarities, one by one."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.joint_noise import ActorNoise
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.state_arrays import to_arrays
from offlow_deflow.action_selection import action_rule, best_sample, repeated_refinement
from offlow_deflow.config import DeFlowConfig
from offlow_deflow.deflow import DeFlow
from offlow_deflow.refinement import actor_loss, base_actions, refined, trust_region

SMALL = {"actor_hidden_dims": (8,), "value_hidden_dims": (8,), "flow_steps": 2}


def affine(*rows: float, bias: float = 0.0) -> dict:
    """A network without hidden layers: one number out, a weight per number in."""
    return {"Dense_0": {"kernel": jnp.array(rows)[:, None], "bias": jnp.array([bias])}}


def modules(*, drift: float = 0.0, step: float = 0.0, slope: float = 1.0, log_alpha: float = 0.0) -> dict:
    """One state number, one action number: v = drift, f = step, both Q_j = slope_j * a with slopes 1 and 3 times."""
    critics = jax.tree.map(lambda *leaves: jnp.stack(leaves), affine(0.0, slope), affine(0.0, 3 * slope))
    return {
        "critic": {"value_net": critics},
        "actor_bc_flow": {"mlp": affine(0.0, 0.0, 0.0, bias=drift)},
        "refine_onestep_flow": {"mlp": affine(0.0, 0.0, bias=step)},
        "log_alpha": {"value": jnp.array([log_alpha])},
    }


@pytest.fixture
def agent() -> DeFlow:
    return DeFlow(DeFlowConfig(**SMALL), (3,), 2)


@pytest.fixture
def state(agent: DeFlow) -> JointState:
    return agent.init(jax.random.key(0))


@pytest.fixture
def batch() -> dict:
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(6, 3)).astype(np.float32),
        "next_observations": rng.normal(size=(6, 3)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (6, 2)).astype(np.float32),
        "rewards": rng.normal(size=6).astype(np.float32),
        "masks": np.ones(6, np.float32),
    }


def test_the_policy_clips_the_base_action_before_and_the_sum_after():
    params, s = modules(drift=0.5, step=-0.25), jnp.zeros((3, 1))
    base = base_actions(params, s, jnp.array([[0.0], [2.0], [-0.9]]), 10)
    np.testing.assert_allclose(base, [[0.5], [1.0], [-0.4]], rtol=1e-6)
    np.testing.assert_allclose(refined(params, s, base), [[0.25], [0.75], [-0.65]], rtol=1e-6)
    np.testing.assert_allclose(refined(modules(step=0.7), s, base), [[1.0], [1.0], [0.3]], rtol=1e-6)


def loss_of(params: dict, config: DeFlowConfig, base: list[float], cloning: bool = True) -> tuple:
    base = jnp.array(base)[:, None]
    batch = {"observations": jnp.zeros((len(base), 1)), "actions": jnp.full((len(base), 1), 0.5)}
    noise = ActorNoise(jnp.full((len(base), 1), 0.25), jnp.full((len(base), 1), 0.5), base)
    critic = (params["critic"], batch["observations"])
    return actor_loss(params, batch["observations"], critic, batch, base, noise, config, None, cloning=cloning)


def test_every_part_of_the_actors_loss():
    # v = 0.1 against a - x0 = 0.25: cloning 0.0225. Steps of 0.2: D = 0.04. Q averaged over members is 2 a,
    # a = 0.2 and clip(1.1) = 1: mean 1.2. alpha = e^0.5.
    params = modules(drift=0.1, step=0.2, log_alpha=0.5)
    loss, parts = loss_of(params, DeFlowConfig(target_divergence=0.01), [0.0, 0.9])
    alpha = np.exp(0.5)
    expected = {
        "actor/bc_flow_loss": 0.0225,
        "actor/distill_loss": 0.04,
        "actor/q": 1.2,
        "actor/q_loss": -1.2,
        "actor/alpha_value": alpha,
        "actor/alpha_loss": -0.5 * (0.04 - 0.01),
        "actor/actor_loss": 0.0225 + alpha * 0.04 - 1.2 - 0.015,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-5, err_msg=name)
    assert loss == parts["actor/actor_loss"]


def test_the_q_loss_is_divided_by_the_mean_size_of_the_members_mean():
    # Averages over members: 2 * 0.2 and 2 * -0.6. -(0.4 - 1.2) / 2 = 0.4, divided by (0.4 + 1.2) / 2.
    _, parts = loss_of(modules(), DeFlowConfig(normalize_q_loss=True), [0.2, -0.6])
    np.testing.assert_allclose(parts["actor/q_loss"], 0.5, rtol=1e-6)


def test_each_module_learns_from_its_own_part_only():
    params = modules(drift=0.1, step=0.2, log_alpha=0.5)
    config = DeFlowConfig(target_divergence=0.01)
    gradient = jax.grad(lambda p: loss_of(p, config, [0.0, 0.9])[0])(params)
    # Flow: 2 (0.1 - 0.25). Refinement: alpha 2 * 0.2, and -Q's slope 2 where the sum is not clipped, half the batch.
    np.testing.assert_allclose(gradient["actor_bc_flow"]["mlp"]["Dense_0"]["bias"], [-0.3], rtol=1e-5)
    np.testing.assert_allclose(
        gradient["refine_onestep_flow"]["mlp"]["Dense_0"]["bias"], [np.exp(0.5) * 0.4 - 1.0], rtol=1e-5
    )
    np.testing.assert_allclose(gradient["log_alpha"]["value"], [-(0.04 - 0.01)], rtol=1e-5)


def test_a_fixed_weight_counts_once_or_as_upstream_squared():
    divergence = jnp.asarray(0.5)
    penalty, alpha_loss, alpha = trust_region({}, divergence, DeFlowConfig(use_lagrange=False, alpha=3.0))
    assert (penalty, alpha_loss, alpha) == (1.5, 0.0, 3.0)
    squared = DeFlowConfig(use_lagrange=False, alpha=3.0, squared_fixed_alpha=True)
    assert trust_region({}, divergence, squared)[0] == 4.5


def test_the_multiplier_rises_above_the_target_and_falls_below_it(agent, state, batch):
    noise = agent.draw_noise(jax.random.key(1), 6)
    moved = {}
    for target in (1e-6, 1e3):
        tight = replace(agent, config=replace(agent.config, target_divergence=target))
        new, _ = tight.update(state, batch, noise)
        moved[target] = float(new.params["log_alpha"]["value"][0])
    assert moved[1e-6] == pytest.approx(1 + 3e-4, abs=1e-6)
    assert moved[1e3] == pytest.approx(1 - 3e-4, abs=1e-6)


def test_without_a_multiplier_there_is_no_parameter_for_it(agent):
    fixed = replace(agent, config=replace(agent.config, use_lagrange=False))
    assert "log_alpha" not in fixed.init(jax.random.key(0)).params
    assert float(agent.init(jax.random.key(0)).params["log_alpha"]["value"][0]) == 1.0


def flow_of(state: JointState) -> dict:
    return to_arrays(state.params["actor_bc_flow"])


@pytest.mark.parametrize("flag", ["fix_bc_flow_online", "freeze_bc_flow_online"])
def test_what_happens_to_the_flow_online(agent, state, batch, flag):
    online = replace(agent, config=replace(agent.config, offline_steps=2, **{flag: True}))
    noise = agent.draw_noise(jax.random.key(1), 6)
    update = jax.jit(lambda s: (lambda new, report: (new, report()))(*online.update(s, batch, noise)))
    flows, losses = [flow_of(state)], []
    for _ in range(4):
        state, metrics = update(state)
        flows.append(flow_of(state))
        losses.append(float(metrics["actor/bc_flow_loss"]))
    moves = [any((a[name] != b[name]).any() for name in a) for a, b in pairwise(flows)]
    if flag == "fix_bc_flow_online":
        assert moves == [True, True, True, True]  # Adam's momentum
        assert losses[1] > 0 == losses[2] == losses[3]
    else:
        assert moves == [True, True, False, False]
        assert min(losses) > 0
    assert update._cache_size() == 1


def test_the_best_sample_of_a_batch_is_refined():
    # Q rises with the action: the largest of the noises is taken, then pushed by 0.1.
    agent = DeFlow(DeFlowConfig(flow_steps=2, num_samples=3), (1,), 1)
    state = agent.with_fresh_optimizer(modules(step=0.1), {})
    z = jnp.array([[[0.3], [-0.5], [0.2]], [[-0.9], [-0.8], [-0.85]]])
    actions, values, chosen = best_sample(agent, state, jnp.zeros((2, 1)), z)
    np.testing.assert_allclose(actions, [[0.4], [-0.7]], rtol=1e-6)
    np.testing.assert_allclose(values, [[0.6, -1.0, 0.4], [-1.8, -1.6, -1.7]], rtol=1e-6)
    assert chosen.tolist() == [0, 1]
    worst = replace(agent, config=replace(agent.config, upstream_argmin=True))
    assert best_sample(worst, state, jnp.zeros((2, 1)), z)[2].tolist() == [1, 0]


def test_repeated_refinement_keeps_the_best_of_its_path():
    agent = DeFlow(DeFlowConfig(flow_steps=2, num_refine_steps=3), (1,), 1)
    z = jnp.array([[0.0], [0.9]])
    up = agent.with_fresh_optimizer(modules(step=0.1), {})
    actions, candidates, _, chosen = repeated_refinement(agent, up, jnp.zeros((2, 1)), z)
    np.testing.assert_allclose(candidates[0, :, 0], [0, 0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(actions, [[0.3], [1.0]], rtol=1e-6)
    assert chosen.tolist() == [3, 1]  # clipped at 1: the first of equals
    down = agent.with_fresh_optimizer(modules(step=-0.1), {})
    assert repeated_refinement(agent, down, jnp.zeros((2, 1)), z)[3].tolist() == [0, 0]


@pytest.mark.parametrize(("selection", "noise_shape"), [("plain", (2,)), ("max_q", (10, 2)), ("iterative", (2,))])
def test_a_row_of_a_batch_is_acted_on_as_it_would_be_alone(agent, state, batch, selection, noise_shape):
    rule = action_rule(agent, selection)
    assert rule.noise_shape == noise_shape
    z = jax.random.normal(jax.random.key(2), (6, *noise_shape))
    together = rule.act(state, batch["observations"], z)
    alone = [rule.act(state, batch["observations"][i : i + 1], z[i : i + 1])[0] for i in range(6)]
    np.testing.assert_allclose(together, jnp.stack(alone), rtol=1e-5, atol=1e-6)
    assert (np.abs(together) <= 1).all()


def test_the_refinement_does_not_start_at_zero_and_the_target_starts_as_the_critic(state):
    assert np.abs(state.params["refine_onestep_flow"]["mlp"]["Dense_1"]["kernel"]).max() > 0.1
    critic, target = to_arrays(state.params["critic"]), to_arrays(state.target)
    assert all((critic[name] == target[name]).all() for name in critic)


def test_the_target_follows_the_critic_of_before_the_step(agent, state, batch):
    noise = agent.draw_noise(jax.random.key(1), 6)
    state, _ = agent.update(state, batch, noise)
    new, _ = agent.update(state, batch, noise)
    before, target, after = (to_arrays(tree) for tree in (state.params["critic"], state.target, new.target))
    for name, values in after.items():
        np.testing.assert_allclose(values, 0.005 * before[name] + 0.995 * target[name], rtol=1e-6, atol=1e-7)


def test_sizes_of_the_published_networks():
    agent = DeFlow(DeFlowConfig(), (37,), 5)
    params = jax.eval_shape(agent.init, jax.random.key(0)).params
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(module)) for name, module in params.items()}
    assert sizes == {"critic": 1_629_186, "actor_bc_flow": 813_061, "refine_onestep_flow": 812_549, "log_alpha": 1}
