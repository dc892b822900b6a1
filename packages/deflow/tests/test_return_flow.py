"""floq's critic in numbers worked out by hand, and its properties."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offlow_deflow.config import DeFlowVfConfig, FloqConfig
from offlow_deflow.deflow_vf import DeFlowVf
from offlow_deflow.return_flow import ReturnFlow, ReturnRange, init_return_flow, return_features, time_features
from offlow_deflow.return_flow_losses import ReturnNoise, return_flow_loss

PLAIN = {"use_prob_embed": False, "embed_time": False, "r_min": -1.0, "r_max": 0.0, "discount": 0.5}


def affine(*rows: float, bias: float = 0.0) -> dict:
    return {"Dense_0": {"kernel": jnp.array(rows)[:, None], "bias": jnp.array([bias])}}


def stacked(*members: dict) -> dict:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def test_ranges_follow_from_rewards_and_discount():
    span = ReturnRange.of(FloqConfig(r_min=-2.0, r_max=0.5, discount=0.99, noise_coverage=0.1, reward_offset=0.01))
    np.testing.assert_allclose([span.noise_min, span.noise_max], [-20, 5], rtol=1e-6)
    np.testing.assert_allclose([span.q_min, span.q_max], [-201, 51], rtol=1e-6)
    np.testing.assert_allclose(span.start(jnp.array([0.0, 0.5, 1.0])), [-20, -7.5, 5], rtol=1e-6)


def test_a_return_as_a_histogram():
    # Edges -1.02, -0.51, 0 (+0.02 - ...): three edges from q_min = -2.02 to q_max = 0.02, sigma half a bin.
    config = FloqConfig(r_min=-1.0, r_max=0.0, discount=0.5, num_bins=3, sigma=0.5)
    width = (0.02 - -2.02) / 2
    z, phi = -1.3, lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2)))
    cumulative = [phi((edge - z) / (0.5 * width)) for edge in (-2.02, -1.0, 0.02)]
    expected = np.diff(cumulative) / (cumulative[-1] - cumulative[0])
    np.testing.assert_allclose(return_features(jnp.array([[z]]), config), [expected], rtol=1e-5)


@settings(deadline=None)  # the first call compiles
@given(z=st.floats(-1e6, 1e6), sigma=st.sampled_from([1.0, 4.0, 16.0]))
def test_a_histogram_is_a_distribution_wherever_the_return_lies(z, sigma):
    features = return_features(jnp.array([z], jnp.float32), FloqConfig(r_min=-1.0, r_max=0.0, sigma=sigma))
    assert features.shape == (50,)
    assert float(features.min()) > -5e-3  # rounding, at the far ends
    assert float(features.sum()) == pytest.approx(1, abs=1e-4)


def test_embeddings_without_histogram_and_of_time():
    span = ReturnRange.of(FloqConfig(**PLAIN))
    scaled = return_features(jnp.array([[span.q_min], [span.q_max]]), FloqConfig(**PLAIN))
    np.testing.assert_allclose(scaled, [[0], [1]])
    u = jnp.array([[0.25]])
    assert time_features(u, FloqConfig(embed_time=False)).tolist() == [[0.25]]
    np.testing.assert_allclose(time_features(u, FloqConfig()), [[math.cos(0.25)]], rtol=1e-6)
    fourier = time_features(u, FloqConfig(time_embedding="fourier", time_embed_dim=2))
    np.testing.assert_allclose(fourier, [[math.cos(math.pi / 4), 0.0]], atol=1e-6)


def test_integration_of_a_linear_field_by_hand():
    # w_0 = z scaled, w_1 = u: K = 2 steps. Range of z: q from -2.02 to 0.02, so that scaled = (z + 2.02) / 2.04.
    config = FloqConfig(**PLAIN, critic_flow_steps=2, noise_coverage=0.5)
    members = stacked(affine(0.0, 0.0, 1.0, 0.0), affine(0.0, 0.0, 0.0, 1.0))
    flow = ReturnFlow.at({"mlp": members}, config, jnp.zeros((1, 1)), jnp.zeros((1, 1)))
    start = -0.75  # noise from -1 to 0
    first = start + (start + 2.02) / 2.04 / 2
    expected = [first + (first + 2.02) / 2.04 / 2, start + 0.5 / 2]
    np.testing.assert_allclose(flow.integrate(jnp.array([[0.25]]))[:, 0], expected, rtol=1e-5)


def test_the_critics_loss_by_hand():
    # Velocities are constants: 1 and 3 online, -1 and 2 in the target. One sample, two repeats, q_agg min.
    config = DeFlowVfConfig(**PLAIN, noise_samples=2, critic_flow_steps=4, q_agg="min", noise_coverage=0.5)
    params = {
        "floq": {"mlp": stacked(affine(0, 0, 0, 0, bias=1.0), affine(0, 0, 0, 0, bias=3.0))},
        "critic": {"value_net": stacked(affine(0, 0, bias=1.0), affine(0, 0, bias=2.0))},
    }
    target = {"mlp": stacked(affine(0, 0, 0, 0, bias=-1.0), affine(0, 0, 0, 0, bias=2.0))}
    one = jnp.zeros((1, 1))
    batch = {"observations": one, "next_observations": one, "actions": one}
    batch |= {"rewards": jnp.array([-0.5]), "masks": jnp.array([1.0])}
    noise = ReturnNoise(*(jnp.array(x)[:, None] for x in ([0.0, 1.0], [0.5, 1.0], [0.25, 0.5])))
    loss, parts = return_flow_loss(params, target, batch, jnp.zeros((2, 1)), noise, config)
    # Starts -1 and 0, least member moves by -1: G' = -2, -1; y = mean(-0.5 + 0.5 G') = -1.25.
    np.testing.assert_allclose(parts["next_returns"], [[-2, -1]], rtol=1e-6)
    np.testing.assert_allclose(parts["target_returns"], [-1.25], rtol=1e-6)
    # Online starts -0.5 and 0: member 0 arrives at 0.5, 1; member 1 at 2.5, 3; mean 1.75.
    np.testing.assert_allclose(parts["current_returns"], [[[0.5, 1.0]], [[2.5, 3.0]]], rtol=1e-6)
    # Target velocities y - z0: -0.75, -1.25.
    flow = [(1.75**2 + 2.25**2), (3.75**2 + 4.25**2)]
    distilled = [(1 - 1.75) ** 2, (2 - 1.75) ** 2]
    np.testing.assert_allclose(parts["critic/floq_loss"], np.mean(flow), rtol=1e-6)
    np.testing.assert_allclose(parts["critic/distilled_critic_loss"], np.mean(distilled), rtol=1e-6)
    np.testing.assert_allclose(loss, np.mean(flow) + np.mean(distilled), rtol=1e-6)
    np.testing.assert_allclose(parts["critic/q"], 1.5, rtol=1e-6)
    np.testing.assert_allclose(parts["critic/var_flow_returns"], 0.0625, rtol=1e-6)
    np.testing.assert_allclose(parts["critic/td_error"], 9.0, rtol=1e-6)
    np.testing.assert_allclose(parts["flow_xt"][0, :, 0], [0.75 * -0.5 + 0.25 * -1.25, 0.5 * -1.25], rtol=1e-6)


@pytest.mark.parametrize(("resnets", "parameters"), [(False, 1_681_410), (True, 4_318_210)])
def test_sizes_of_the_published_networks(resnets, parameters):
    config = FloqConfig(use_resnets=resnets)
    params = jax.eval_shape(lambda key: init_return_flow(key, 37 + 5, config), jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == parameters


def test_only_its_own_loss_moves_the_flow_critic_and_the_actor_moves_neither_critic():
    sizes = {"actor_hidden_dims": (8,), "value_hidden_dims": (8,), "block_width": 8, "block_depth": 1}
    agent = DeFlowVf(DeFlowVfConfig(**sizes, noise_samples=2, r_min=-1.0, r_max=0.0), (3,), 2)
    state = agent.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    batch = {name: rng.normal(size=(4, 3)).astype(np.float32) for name in ("observations", "next_observations")}
    batch |= {"actions": rng.uniform(-1, 1, (4, 2)), "rewards": -rng.random(4), "masks": np.ones(4)}
    noise = agent.draw_noise(jax.random.key(1), 4)

    def part(name: str):
        return jax.grad(lambda params: agent.loss(params, state, batch, noise)[1][name])(state.params)

    def largest(tree: dict) -> float:
        return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))

    distilled, flow, actor = part("critic/distilled_critic_loss"), part("critic/floq_loss"), part("actor/actor_loss")
    assert largest(distilled["critic"]) > 0 == largest(distilled["floq"])
    assert largest(flow["floq"]) > 0 == largest(flow["critic"])
    assert largest(actor["refine_onestep_flow"]) > 0 == largest({k: actor[k] for k in ("critic", "floq")})
