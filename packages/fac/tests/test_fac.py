"""FAC's losses and updates by hand, where gradients flow, and that it learns."""

import math
from dataclasses import replace
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offlow_core.jax.critics import moving_average
from offlow_core.jax.state_arrays import to_arrays
from offlow_core.testing.comparisons import assert_close
from offlow_core.testing.jax_agents import column, linear, members, same
from offlow_core.testing.learner_battery import LearnerBattery, assert_imitates
from offlow_core.testing.toy_task import random_batch
from offlow_fac.agents import evaluated_policy, make_learner
from offlow_fac.config import FacConfig, FacOptions
from offlow_fac.fac import Fac, FacState
from offlow_fac.fac_losses import (
    ActorCriticNoise,
    FlowNoise,
    Frozen,
    actor_critic_loss,
    behaviour_flow_loss,
    log_threshold,
    out_of_support_weight,
)
from offlow_fac.saved_policy import load_policy

LOG_2_PI = math.log(2 * math.pi)


class ByHand:
    """Two samples with one-dimensional states and actions, and linear networks.

    mu(s, z) = s + z / 2, v(s, x, t) = -x, Q_1 = s + 2 a, Q_2 = 3 a - 1, Q'_1 = s + a, Q'_2 = 2 a (targets); two steps.
    """

    def __init__(self, critics: int = 2):
        self.params = {
            "critic": members(*[linear([1.0], [2.0]), linear([0.0], [3.0], bias=-1.0)][:critics]),
            "actor_onestep": {"mlp": linear([1.0], [0.5])},
        }
        target = members(*[linear([1.0], [1.0]), linear([0.0], [2.0])][:critics])
        self.frozen = Frozen(target, {"bc_flow": {"mlp": linear([0.0], [-1.0], [0.0])}})
        self.batch = {
            "observations": column(0.2, -0.4),
            "actions": column(0.5, -0.5),
            "rewards": jnp.array([1.0, 0.0]),
            "masks": jnp.array([1.0, 0.0]),
            "next_observations": column(0.4, 0.0),
            "estimated_logp": jnp.array([0.0, -1.0]),
            "estimated_logp_min": jnp.array([-2.0, -2.0]),
        }
        # a' = (0.5, 0.5); a_p = (0.4, 1) after clipping 1.1; a_1 = (0, 0.1)
        self.noise = ActorCriticNoise(column(0.2, 1.0), column(0.4, 3.0), column(-0.4, 1.0))
        self.critics = critics

    def parts(self, online: bool = False, **options) -> dict:
        defaults = {"flow_steps": 2, "discount": 0.5, "num_critics": self.critics, "normalize_q_loss": False}
        config = FacConfig(**defaults | options)
        loss, parts = actor_critic_loss(self.params, self.frozen, self.batch, self.noise, config, None, online=online)
        assert np.array_equal(loss, parts["loss"], equal_nan=True)
        return parts


@pytest.fixture(scope="module")
def by_hand() -> ByHand:
    return ByHand()


def density(a: float) -> float:
    """Two reverse Euler steps of v = -x multiply by 1.5 each; the divergence is -1 throughout."""
    return -0.5 * (1.5**2 * a) ** 2 - 0.5 * LOG_2_PI + 1


# Squared errors (Q_j - y)^2 for y = (1 + 0.5 min(0.9, 1), 0) with Q_1 = (1.2, -1.4), Q_2 = (0.5, -2.5)
TD_MIN = (0.25**2 + 1.4**2 + 0.95**2 + 2.5**2) / 4
# y = (1 + 0.5 * 0.95, 0)
TD_MEAN = (0.275**2 + 1.4**2 + 0.975**2 + 2.5**2) / 4


@pytest.mark.parametrize(("rule", "loss"), [("min", TD_MIN), ("mean", TD_MEAN)])
def test_the_critic_loss_without_penalty(by_hand, rule, loss):
    parts = by_hand.parts(q_agg=rule, use_cp=False)
    np.testing.assert_allclose(parts["next_actions"][:, 0], [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(parts["critic_loss"], loss, rtol=1e-6)


@pytest.mark.parametrize(
    ("threshold", "log_epsilon"),
    [
        ("batch_adaptive", (0.0, -1.0)),
        ("batch_wide_constant", (-1.0, -1.0)),
        ("dataset_wide_constant", (-2.0, -2.0)),
    ],
)
def test_the_penalty(by_hand, threshold, log_epsilon):
    parts = by_hand.parts(fac_threshold=threshold, fac_alpha=3.0)
    np.testing.assert_allclose(parts["penalty_actions"][:, 0], [0.4, 1.0], rtol=1e-6)
    np.testing.assert_allclose(parts["logp_pi"], [density(0.4), density(1.0)], rtol=1e-5)
    weights = [max(0.0, 1 - math.exp(density(a) - e)) for a, e in zip((0.4, 1.0), log_epsilon, strict=True)]
    assert weights[1] > 0
    np.testing.assert_allclose(parts["weight"], weights, rtol=1e-5)
    # Q_1 = (1, 1.6), Q_2 = (0.2, 2) at the penalty actions
    penalty = 3.0 * (weights[0] * 1.2 + weights[1] * 3.6) / 4
    np.testing.assert_allclose(parts["penalty_mean"], penalty, rtol=1e-5)
    np.testing.assert_allclose(parts["critic_loss"], TD_MIN + penalty, rtol=1e-5)


def test_the_actor_loss(by_hand):
    parts = by_hand.parts(fac_lambda=10.0)
    # The flow halves z twice: (-0.1, 0.25) against a_1 = (0, 0.1).
    np.testing.assert_allclose(parts["target_flow_actions"][:, 0], [-0.1, 0.25], rtol=1e-6)
    np.testing.assert_allclose(parts["distill_loss"], (0.1**2 + 0.15**2) / 2, rtol=1e-5)
    # Mean over members of Q: (0.2 - 1) / 2 and (-0.2 - 0.7) / 2.
    np.testing.assert_allclose(parts["q_loss"], 0.425, rtol=1e-5)
    np.testing.assert_allclose(parts["actor_loss"], 10 * 0.01625 + 0.425, rtol=1e-5)
    np.testing.assert_allclose(parts["loss"], parts["critic_loss"] + parts["actor_loss"], rtol=1e-6)


def test_options_of_the_actor_loss(by_hand):
    assert by_hand.parts(distil_loss=False)["actor_loss"] == pytest.approx(0.425, rel=1e-5)
    # -mean Q / mean |Q| = 0.425 / 0.425; an epsilon of 0.425 halves it.
    assert by_hand.parts(normalize_q_loss=True)["q_loss"] == pytest.approx(1.0, rel=1e-5)
    assert by_hand.parts(normalize_q_loss=True, q_norm_epsilon=0.425)["q_loss"] == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("rule", ["min", "mean"])
def test_one_critic_is_not_mistaken_for_a_batch(rule):
    alone = ByHand(critics=1)
    parts = alone.parts(q_agg=rule)
    assert parts["next_qs"].shape == parts["q_pred"].shape == (1, 2)
    weights = [1 - math.exp(density(0.4)), 1 - math.exp(density(1.0) + 1)]
    expected = (0.25**2 + 1.4**2) / 2 + (weights[0] * 1.0 + weights[1] * 1.6) / 2
    assert parts["critic_loss"] == pytest.approx(expected, rel=1e-5)
    assert parts["q_loss"] == pytest.approx(0.0, abs=1e-6)  # Q_1 = (0.2, -0.2)


def test_the_student_is_not_clipped_and_its_target_is(by_hand):
    far = ByHand()
    far.noise = far.noise._replace(actor=column(8.0, 8.0))
    parts = far.parts()
    # a_1 = s + 4, the flow's 8 / 4 is clipped to 1.
    np.testing.assert_allclose(parts["actor_actions"][:, 0], [4.2, 3.6], rtol=1e-6)
    np.testing.assert_allclose(parts["distill_loss"], (3.2**2 + 2.6**2) / 2, rtol=1e-6)
    # Q sees a = 1: means of (2.2, 2) and (1.6, 2); there it has no slope for the actor.
    np.testing.assert_allclose(parts["q_loss"], -(2.1 + 1.8) / 2, rtol=1e-6)
    config = FacConfig(flow_steps=2, fac_lambda=0.0)
    gradients = jax.grad(
        lambda actor: actor_critic_loss(
            {**far.params, "actor_onestep": actor}, far.frozen, far.batch, far.noise, config, None
        )[0]
    )(far.params["actor_onestep"])
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradients))


def test_a_q_of_zero_is_the_normalisers_problem_unless_guarded():
    flat = ByHand()
    flat.params["critic"] = jax.tree.map(jnp.zeros_like, flat.params["critic"])
    assert np.isnan(flat.parts(normalize_q_loss=True)["q_loss"])
    assert flat.parts(normalize_q_loss=True, q_norm_epsilon=1e-6)["q_loss"] == 0


def test_online_thresholds_come_from_the_current_flow(by_hand):
    own = [density(0.5), density(-0.5)]
    for threshold in ("batch_adaptive", "batch_wide_constant", "dataset_wide_constant"):
        parts = by_hand.parts(online=True, fac_threshold=threshold)
        np.testing.assert_allclose(parts["logp_beta"], own, rtol=1e-5)
    uneven = jnp.array([-3.0, -5.0])
    for threshold, expected in (("batch_adaptive", [-3, -5]), ("dataset_wide_constant", [-5, -5])):
        assert log_threshold({}, FacConfig(fac_threshold=threshold), uneven).tolist() == expected


def test_flow_matching_by_hand(by_hand):
    # x_t = (1 - t) x0 + t a; v = -x_t against a - x0: -(0.25 + 0.5) - (0.5 - 0.5) and 0.5 + 0.5 + 1
    noise = FlowNoise(column(0.5, 0.5), column(0.5, 1.0))
    loss, _ = behaviour_flow_loss(by_hand.frozen.behaviour, None, by_hand.batch, noise)
    assert loss == pytest.approx(((-0.5 - 0.0) ** 2 + (0.5 + 1.0) ** 2) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("weight_type", "at_minus_one"),
    [
        ("linear", 1 - math.exp(-1)),
        ("logarithmic", 1 - math.log2(1 + math.exp(-1))),
        ("convex", 1 - math.log2(1 + math.exp(-0.5))),
        ("concave", 1 - math.log2(1 + math.exp(-2))),
    ],
)
@settings(max_examples=50, deadline=None)
@given(gaps=arrays(np.float32, 6, elements=st.floats(-1e6, 1e6, width=32)))
def test_weights_are_between_zero_and_one_and_fall_with_density(weight_type, at_minus_one, gaps):
    fixed = np.array([-np.inf, -1e4, -1.0, 0.0, 1.0, 88.0, 1e4, np.inf], np.float32)
    found = np.asarray(out_of_support_weight(jnp.asarray(fixed), weight_type))
    np.testing.assert_allclose(found, [1, 1, at_minus_one, 0, 0, 0, 0, 0], atol=1e-6)
    weights = np.asarray(out_of_support_weight(jnp.sort(jnp.asarray(gaps)), weight_type))
    assert ((weights >= 0) & (weights <= 1)).all()
    assert (np.diff(weights) <= 0).all()


# From here on: random networks.

OBSERVATION, ACTION, BATCH = 3, 2, 4
NETWORKS = ("actor_hidden_dims", "value_hidden_dims", "bc_hidden_dims")


def make_agent(**options) -> Fac:
    widths = dict.fromkeys(NETWORKS, (8,))
    return Fac(FacConfig(**widths | {"flow_steps": 2, "batch_size": BATCH} | options), (OBSERVATION,), ACTION)


def make_batch() -> dict[str, np.ndarray]:
    # High thresholds: every sample is penalised.
    densities = {"estimated_logp": np.linspace(5, 6, BATCH, dtype=np.float32)}
    densities |= {"estimated_logp_min": np.full(BATCH, 5, np.float32)}
    return random_batch(BATCH, OBSERVATION, ACTION) | densities


@partial(jax.jit, static_argnums=0)
def gradients_of(agent: Fac, state: FacState, batch: dict, noise: ActorCriticNoise) -> dict:
    return agent.actor_critic_gradients(state, batch, noise)[0]


@partial(jax.jit, static_argnums=(0, 4))
def ac_step(agent: Fac, state: FacState, batch: dict, noise: ActorCriticNoise, online: bool = False) -> tuple:
    new, report = agent.update_actor_critic(state, batch, noise, online=online)
    return new, report()


@partial(jax.jit, static_argnums=0)
def flow_step(agent: Fac, state: FacState, batch: dict, noise: FlowNoise) -> tuple:
    new, report = agent.update_behaviour_flow(state, batch, noise)
    return new, report()


@pytest.fixture(scope="module")
def agent() -> Fac:
    return make_agent()


@pytest.fixture(scope="module")
def state(agent) -> FacState:
    return jax.jit(agent.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def noise(agent) -> ActorCriticNoise:
    return agent.draw_actor_critic_noise(jax.random.key(1), BATCH)


@pytest.mark.parametrize(
    ("changed", "moves_critic", "moves_actor"),
    [
        ("next_action", True, False),  # the target is a constant of the actor
        ("penalty_action", True, False),  # and so is the penalty action
        ("actor", False, True),  # the actor loss gives nothing to the critic
    ],
)
def test_where_gradients_flow(agent, state, noise, changed, moves_critic, moves_actor):
    batch = make_batch()
    before = gradients_of(agent, state, batch, noise)
    after = gradients_of(agent, state, batch, noise._replace(**{changed: getattr(noise, changed) + 0.3}))
    assert same(before["critic"], after["critic"]) is not moves_critic
    assert same(before["actor_onestep"], after["actor_onestep"]) is not moves_actor
    assert all(leaf.any() for leaf in jax.tree.leaves(before["critic"]))
    assert all(leaf.any() for leaf in jax.tree.leaves(before["actor_onestep"]))


def test_rewards_and_densities_reach_the_critic_alone(agent, state, noise):
    before = gradients_of(agent, state, make_batch(), noise)
    for name in ("rewards", "estimated_logp"):
        batch = make_batch()
        batch[name] = batch[name] + 1
        after = gradients_of(agent, state, batch, noise)
        assert not same(before["critic"], after["critic"])
        assert same(before["actor_onestep"], after["actor_onestep"])


def test_one_joint_step_and_a_target_that_follows_the_updated_critic():
    agent = make_agent(lr=0.1, tau=0.5)
    state = jax.jit(agent.init)(jax.random.key(0))
    state = state._replace(target_critic=jax.tree.map(lambda leaf: leaf + 1, state.target_critic))
    noise = agent.draw_actor_critic_noise(jax.random.key(1), BATCH)
    gradients = gradients_of(agent, state, make_batch(), noise)
    new, _ = ac_step(agent, state, make_batch(), noise)
    # Adam's first step is lr g / (|g| + eps), with both gradients from the same parameters.
    expected = jax.tree.map(lambda p, g: p - 0.1 * g / (jnp.abs(g) + 1e-8), state.params, gradients)
    assert_close(to_arrays(new.params), to_arrays(expected), rtol=0, atol=1e-4)
    followed = moving_average(state.target_critic, new.params["critic"], 0.5)
    assert_close(to_arrays(new.target_critic), to_arrays(followed), rtol=1e-5, atol=1e-6)
    assert same(new.behaviour, state.behaviour)
    assert same(new.behaviour_optimizer, state.behaviour_optimizer)


def test_the_flow_update_leaves_actor_and_critic(agent, state):
    noise = agent.draw_flow_noise(jax.random.key(3), BATCH)
    new, metrics = flow_step(agent, state, make_batch(), noise)
    assert same(new._replace(behaviour=0, behaviour_optimizer=0), state._replace(behaviour=0, behaviour_optimizer=0))
    assert not same(new.behaviour, state.behaviour)
    assert set(metrics) == {"bc/bc_flow_loss", "grad/max", "grad/min", "grad/norm"}


@pytest.mark.parametrize("options", [{"use_cp": False}, {"fac_alpha": 0.0}], ids=str)
def test_without_penalty_no_densities_are_needed(options):
    agent = make_agent(**options)
    noise = agent.draw_actor_critic_noise(jax.random.key(1), BATCH, online=True)
    assert noise.penalty_probes is None
    batch = {name: values for name, values in make_batch().items() if not name.startswith("estimated")}
    for online in (False, True):
        _, metrics = ac_step(agent, jax.jit(agent.init)(jax.random.key(0)), batch, noise, online)
        assert all(np.isfinite(value) for value in metrics.values())
        assert not [name for name in metrics if "log" in name or "penalty" in name]
        assert {"critic/critic_loss", "critic/q_mean", "actor/actor_loss", "actor/q", "grad/norm"} <= set(metrics)


@pytest.mark.parametrize("method", ["hutch-rade", "hutch-gaus"])
def test_probes_are_fresh_and_of_their_kind(method):
    agent = make_agent(logp_method=method, logp_hutch_probes=100, flow_steps=3)
    noise = agent.draw_actor_critic_noise(jax.random.key(0), BATCH, online=True)
    for probes in (noise.penalty_probes, noise.threshold_probes):
        assert probes.shape == (3, BATCH, 100, ACTION)
        assert abs(probes.mean()) < 0.1
        assert abs(probes.std() - 1) < 0.1
        assert (set(np.unique(probes)) == {-1.0, 1.0}) is (method == "hutch-rade")
    assert not np.array_equal(noise.penalty_probes, noise.threshold_probes)
    assert not np.array_equal(noise.penalty_probes[0], noise.penalty_probes[1])
    assert agent.draw_actor_critic_noise(jax.random.key(0), BATCH).threshold_probes is None


def test_draws_are_distinct(agent):
    noise = agent.draw_actor_critic_noise(jax.random.key(0), 500)
    draws = np.concatenate([np.ravel(noise.next_action), np.ravel(noise.penalty_action), np.ravel(noise.actor)])
    assert len(np.unique(draws)) > 2990  # of 3000 normal floats
    flow = agent.draw_flow_noise(jax.random.key(0), 500)
    assert flow.t.shape == (500, 1)
    assert ((flow.t >= 0) & (flow.t < 1)).all()
    assert flow.x0.shape == (500, ACTION)


@pytest.mark.slow
def test_jit_equals_no_jit(agent, state, noise):
    fast = ac_step(agent, state, make_batch(), noise)
    new, report = agent.update_actor_critic(state, make_batch(), noise)
    assert_close(fast[1], report(), atol=1e-5)
    assert_close(to_arrays(fast[0]), to_arrays(new))


def test_acting(agent, state):
    observations = jax.random.normal(jax.random.key(4), (50, OBSERVATION))
    z = 3 * jax.random.normal(jax.random.key(5), (50, ACTION))
    actions = evaluated_policy(agent).act(state, observations, z)
    assert actions.shape == (50, ACTION)
    assert (np.abs(actions) <= 1).all()
    assert (np.abs(actions) == 1).any()
    assert not np.array_equal(actions, evaluated_policy(agent).act(state, observations, -z))
    quiet = replace(agent, config=replace(agent.config, evaluation_noise=False))
    np.testing.assert_array_equal(
        evaluated_policy(quiet).act(state, observations, z),
        evaluated_policy(agent).act(state, observations, jnp.zeros_like(z)),
    )
    behaviour = agent.sample_behaviour(state, observations, z)
    assert behaviour.shape == (50, ACTION)
    assert (np.abs(behaviour) <= 1).all()


class TestLearner(LearnerBattery):
    """FAC through its learner: behaviour flow, actor and critic, online."""

    make_learner = staticmethod(make_learner)
    bandit: ClassVar = {
        **{"bc_steps": 500, "offline_steps": 500, "online_steps": 0},
        "agent": {**dict.fromkeys(NETWORKS, (16, 16)), "batch_size": 64}
        | {"lr": 3e-3, "lr_bc": 3e-3, "flow_steps": 4, "fac_lambda": 0.3},
    }
    falls: ClassVar = {"bc/bc_flow_loss": 0.7, "critic/critic_loss": 0.5}

    @classmethod
    def options(cls, agent=None, **run) -> FacOptions:
        config = FacConfig(**dict.fromkeys(NETWORKS, (8,)) | {"flow_steps": 2, "batch_size": 8} | (agent or {}))
        lengths = {"bc_steps": 4, "offline_steps": 3, "online_steps": 4}
        return FacOptions(**{"env_name": "push", "behaviour_flow_cache": "none"} | lengths | run, agent=config)

    def test_its_behaviour_flow_imitates_the_data(self, bandit_learner):
        arrays = bandit_learner.learner.state_arrays(0)
        assert_imitates(load_policy(self.options(**self.bandit), (2,), 1, arrays, "behaviour_flow"))
