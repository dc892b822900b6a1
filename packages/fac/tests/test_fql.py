"""FQL's losses and updates by hand, where gradients flow, and that it learns."""

from dataclasses import replace
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.critics import moving_average
from offlow_core.jax.joint_noise import JointNoise
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.state_arrays import to_arrays
from offlow_core.testing.comparisons import assert_close
from offlow_core.testing.jax_agents import column, linear, members, same
from offlow_core.testing.learner_battery import LearnerBattery, assert_imitates
from offlow_core.testing.toy_task import random_batch
from offlow_fac.agents import evaluated_policy, make_learner
from offlow_fac.config import FqlConfig, FqlOptions
from offlow_fac.fql import Fql
from offlow_fac.saved_policy import load_policy

OBSERVATION, ACTION, BATCH = 3, 2, 4


class ByHand:
    """Two samples with one-dimensional states and actions, and linear networks.

    mu(s, z) = s + z / 2, v(s, x, t) = -x, Q_1 = s + 2 a, Q_2 = 3 a - 1, Q'_1 = s + a, Q'_2 = 2 a (targets); two steps.
    """

    def __init__(self):
        self.params = {
            "critic": members(linear([1.0], [2.0]), linear([0.0], [3.0], bias=-1.0)),
            "actor_onestep_flow": {"mlp": linear([1.0], [0.5])},
            "actor_bc_flow": {"mlp": linear([0.0], [-1.0], [0.0])},
        }
        self.target = members(linear([1.0], [1.0]), linear([0.0], [2.0]))
        self.batch = {
            "observations": column(0.2, -0.4),
            "actions": column(0.5, -0.5),
            "rewards": jnp.array([1.0, 0.0]),
            "masks": jnp.array([1.0, 0.0]),
            "next_observations": column(0.4, 0.0),
        }
        # a' = (0.5, 0.5), a_1 = (0, 0.1), logged a = (0.7, -1) after clipping -1.4
        self.noise = JointNoise(
            column(0.2, 1.0), column(0.5, 0.5), column(0.5, 1.0), column(-0.4, 1.0), column(1.0, -2.0)
        )

    def parts(self, **options) -> dict:
        config = FqlConfig(**{"flow_steps": 2, "discount": 0.5} | options)
        agent = Fql(config, (1,), 1)
        state = agent.with_fresh_optimizer(self.params, self.target)
        loss, parts = agent.loss(self.params, state, self.batch, self.noise)
        assert loss == parts["loss"]
        return parts


@pytest.fixture(scope="module")
def by_hand() -> ByHand:
    return ByHand()


@pytest.mark.parametrize(
    ("rule", "loss"),
    [
        # Q_1 = (1.2, -1.4), Q_2 = (0.5, -2.5); y = (1 + 0.5 (0.9 + 1) / 2, 0), or with the smaller value 0.9
        ("mean", (0.275**2 + 1.4**2 + 0.975**2 + 2.5**2) / 4),
        ("min", (0.25**2 + 1.4**2 + 0.95**2 + 2.5**2) / 4),
    ],
)
def test_the_critic_loss(by_hand, rule, loss):
    np.testing.assert_allclose(by_hand.parts(q_agg=rule)["critic_loss"], loss, rtol=1e-5)


@pytest.mark.parametrize(("normalize", "q_loss"), [(False, 0.425), (True, 1.0)])
def test_the_actor_loss(by_hand, normalize, q_loss):
    parts = by_hand.parts(alpha=10.0, normalize_q_loss=normalize)
    # x_t = 0.5 and -0.5 against a - x0 = 0 and -1
    flow = ((-0.5 - 0.0) ** 2 + (0.5 + 1.0) ** 2) / 2
    np.testing.assert_allclose(parts["bc_flow_loss"], flow, rtol=1e-5)
    # a_1 = (0, 0.1) against the flow's (-0.1, 0.25); Q there is (-0.4, -0.45), averaged over members.
    np.testing.assert_allclose(parts["distill_loss"], 0.01625, rtol=1e-5)
    np.testing.assert_allclose(parts["q_loss"], q_loss, rtol=1e-5)
    np.testing.assert_allclose(parts["actor_loss"], flow + 0.1625 + q_loss, rtol=1e-5)


def test_the_logged_action_error(by_hand):
    found = Fql(FqlConfig(), (1,), 1).action_error(by_hand.params, by_hand.batch, by_hand.noise.mse_action)
    assert found == pytest.approx(((0.7 - 0.5) ** 2 + (-1 + 0.5) ** 2) / 2, rel=1e-5)


def make_agent(**options) -> Fql:
    widths = dict.fromkeys(("actor_hidden_dims", "value_hidden_dims"), (8,))
    return Fql(FqlConfig(**widths | {"flow_steps": 2, "batch_size": BATCH} | options), (OBSERVATION,), ACTION)


def make_batch() -> dict[str, np.ndarray]:
    return random_batch(BATCH, OBSERVATION, ACTION)


@partial(jax.jit, static_argnums=0)
def gradients_of(agent: Fql, state: JointState, batch: dict, noise: JointNoise) -> dict:
    return agent.gradients(state, batch, noise)[0]


@partial(jax.jit, static_argnums=0)
def one_step(agent: Fql, state: JointState, batch: dict, noise: JointNoise) -> tuple:
    new, report = agent.update(state, batch, noise)
    return new, report()


@pytest.fixture(scope="module")
def agent() -> Fql:
    return make_agent()


@pytest.fixture(scope="module")
def state(agent) -> JointState:
    return jax.jit(agent.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def noise(agent) -> JointNoise:
    return agent.draw_noise(jax.random.key(1), BATCH)


@pytest.mark.parametrize(
    ("changed", "moved"),
    [
        ("next_action", {"critic"}),
        ("x0", {"actor_bc_flow"}),
        ("t", {"actor_bc_flow"}),
        ("start", {"actor_onestep_flow"}),  # distillation and the critic's value teach the student alone
        ("mse_action", set()),
    ],
)
def test_where_gradients_flow(agent, state, noise, changed, moved):
    before = gradients_of(agent, state, make_batch(), noise)
    after = gradients_of(agent, state, make_batch(), noise._replace(**{changed: getattr(noise, changed) * 0.7}))
    assert {name for name in before if not same(before[name], after[name])} == moved
    assert all(leaf.any() for leaf in jax.tree.leaves(before))


def test_one_joint_step_and_a_target_that_follows_the_critic_before_it():
    agent = make_agent(lr=0.1, tau=0.5)
    state = jax.jit(agent.init)(jax.random.key(0))
    state = state._replace(target=jax.tree.map(lambda leaf: leaf + 1, state.target))
    noise = agent.draw_noise(jax.random.key(1), BATCH)
    gradients = gradients_of(agent, state, make_batch(), noise)
    new, _ = one_step(agent, state, make_batch(), noise)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g / (jnp.abs(g) + 1e-8), state.params, gradients)
    assert_close(to_arrays(new.params), to_arrays(expected), rtol=0, atol=1e-4)
    followed = moving_average(state.target, state.params["critic"], 0.5)
    assert_close(to_arrays(new.target), to_arrays(followed), rtol=1e-6, atol=0)


def test_metrics(agent, state, noise):
    _, metrics = one_step(agent, state, make_batch(), noise)
    critic = {f"critic/{name}" for name in ("critic_loss", "q_mean", "q_max", "q_min")}
    names = ("actor_loss", "bc_flow_loss", "distill_loss", "q_loss", "q", "mse")
    assert set(metrics) == critic | {f"actor/{name}" for name in names} | {f"grad/{n}" for n in ("max", "min", "norm")}
    assert metrics["critic/q_min"] <= metrics["critic/q_mean"] <= metrics["critic/q_max"]


def test_jit_equals_no_jit(agent, state, noise):
    fast = one_step(agent, state, make_batch(), noise)
    new, report = agent.update(state, make_batch(), noise)
    assert_close(to_arrays(fast), to_arrays((new, report())))


def test_acting(agent, state):
    observations = jax.random.normal(jax.random.key(4), (50, OBSERVATION))
    z = 3 * jax.random.normal(jax.random.key(5), (50, ACTION))
    actions = evaluated_policy(agent).act(state, observations, z)
    assert actions.shape == (50, ACTION)
    assert (np.abs(actions) <= 1).all()
    quiet = replace(agent, config=replace(agent.config, evaluation_noise=False))
    np.testing.assert_array_equal(
        evaluated_policy(quiet).act(state, observations, z),
        evaluated_policy(agent).act(state, observations, jnp.zeros_like(z)),
    )
    assert (np.abs(agent.sample_behaviour(state, observations, z)) <= 1).all()


class TestLearner(LearnerBattery):
    """FQL through its learner, offline and online."""

    make_learner = staticmethod(make_learner)
    unvalidated = ("actor/mse",)
    bandit: ClassVar = {
        **{"offline_steps": 500, "online_steps": 0},
        "agent": {**dict.fromkeys(("actor_hidden_dims", "value_hidden_dims"), (16, 16)), "batch_size": 64}
        | {"lr": 3e-3, "flow_steps": 4, "alpha": 0.3, "normalize_q_loss": True},
    }
    falls: ClassVar = {"critic/critic_loss": 0.7}

    @classmethod
    def options(cls, agent=None, **run) -> FqlOptions:
        widths = dict.fromkeys(("actor_hidden_dims", "value_hidden_dims"), (8,))
        config = FqlConfig(**widths | {"flow_steps": 2, "batch_size": 8} | (agent or {}))
        return FqlOptions(**{"env_name": "push", "offline_steps": 3, "online_steps": 4} | run, agent=config)

    def test_its_behaviour_flow_imitates_the_data(self, bandit_learner):
        arrays = bandit_learner.learner.state_arrays(0)
        assert_imitates(load_policy(self.options(**self.bandit), (2,), 1, arrays, "behaviour_flow"))
