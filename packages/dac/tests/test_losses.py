"""DAC's losses and updates by hand, and its peculiarities, one by one."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.state_arrays import to_arrays
from offlow_dac.config import DacConfig
from offlow_dac.dac import Dac, DacState
from offlow_dac.losses import batch_mean, ensemble_target

SMALL = {"hidden_dims": (8,), "T": 3, "num_qs": 2, "num_q_samples": 2, "lr_decay_steps": 100, "batch_size": 4}


def make_agent(**options) -> Dac:
    return Dac(DacConfig(**SMALL | options), 3, 2)


@pytest.fixture
def batch() -> dict:
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(4, 3)).astype(np.float32),
        "next_observations": rng.normal(size=(4, 3)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (4, 2)).astype(np.float32),
        "rewards": rng.normal(size=4).astype(np.float32),
        "masks": np.ones(4, np.float32),
    }


def updated(agent: Dac, state: DacState, batch: dict, seed: int = 1) -> tuple[DacState, dict]:
    state, report = agent.update(state, batch, agent.draw_noise(jax.random.key(seed), len(batch["actions"])))
    return state, report()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"q_tar": "lcb", "rho": 2.0}, [2 - 2 * 1.0, 4 - 2 * 2.0]),  # members 1, 3 and 2, 6
        ({"q_tar": "min"}, [1, 2]),
        ({"q_tar": "convex", "rho": 0.75}, [1.5, 3.0]),
        ({"q_tar": "rand_convex"}, [0.25 * 1 + 0.75 * 3, 0.5 * 2 + 0.5 * 6]),
    ],
)
def test_ensemble_targets(options, expected):
    values, uniforms = jnp.array([[1.0, 2.0], [3.0, 6.0]]), jnp.array([[0.2, 0.3], [0.6, 0.3]])
    np.testing.assert_allclose(ensemble_target(values, DacConfig(**options), uniforms), expected, rtol=1e-5)


def test_rows_without_weight_do_not_count():
    values = jnp.array([[1.0, 3.0], [5.0, 7.0], [100.0, 100.0]])
    batch = {"weights": jnp.array([1.0, 1.0, 0.0])}
    assert batch_mean(values, batch) == 4.0
    assert batch_mean(values.T, batch, axis=1) == 4.0
    assert batch_mean(values[:, 0], batch) == 3.0


def test_a_short_batch_is_a_batch_of_its_rows(batch):
    agent = make_agent(eta_lr=0.01)
    state = agent.init(jax.random.key(0))
    noise = agent.draw_noise(jax.random.key(1), 4)
    short = {name: values[:3] for name, values in batch.items()}
    critic = noise.critic._replace(prior=noise.critic.prior[:6], z=noise.critic.z[:, :6])
    actor = noise.actor._replace(t=noise.actor.t[:3], eps=noise.actor.eps[:3])
    alone, report = agent.update(state, short, noise._replace(critic=critic, actor=actor))
    filled, other = agent.update(state, {**batch, "weights": jnp.array([1.0, 1.0, 1.0, 0.0])}, noise)
    for name, value in to_arrays(alone).items():
        np.testing.assert_allclose(to_arrays(filled)[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    for name, value in report().items():
        np.testing.assert_allclose(other()[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_slow_actor_starts_late_and_then_moves_at_its_interval(batch):
    agent = make_agent(step_start_ema=2, update_ema_every=2, ema_tau=0.5)
    state, moves = agent.init(jax.random.key(0)), []
    update = jax.jit(lambda s: updated(agent, s, batch)[0])
    for _ in range(7):
        new = update(state)
        before, after = to_arrays(state.actor_target), to_arrays(new.actor_target)
        moves.append(any((before[name] != after[name]).any() for name in before))
        state = new
    assert moves == [False, False, False, False, True, False, True]  # n = 4 and 6: even, and more than 2


def test_dual_ascent_moves_eta_by_the_clipped_excess_within_its_bounds(batch):
    agent = make_agent(eta_lr=0.5, bc_threshold=0.0)
    state = agent.init(jax.random.key(0))
    new, metrics = updated(agent, state, batch)
    assert float(metrics["actor/bc_loss"]) > 0
    assert float(new.eta) == pytest.approx(1 + 0.5 * min(1.0, float(metrics["actor/bc_loss"])), rel=1e-5)
    lowest, _ = updated(make_agent(eta_lr=50.0, bc_threshold=100.0), state, batch)
    assert float(lowest.eta) == pytest.approx(0.001)
    highest, _ = updated(make_agent(eta_lr=500.0, bc_threshold=-100.0), state, batch)
    assert float(highest.eta) == 100.0
    for fixed in (make_agent(eta_lr=0.0), make_agent(eta_lr=0.5, use_guidance_loss=False)):
        assert float(updated(fixed, state, batch)[0].eta) == 1.0


def test_cloning_has_no_guidance_and_does_not_depend_on_the_critics(batch):
    agent = make_agent(use_guidance_loss=False)
    state = agent.init(jax.random.key(0))
    shifted = state._replace(critic_target=jax.tree.map(lambda leaf: leaf + 1, state.critic_target))
    (one, metrics), (other, _) = updated(agent, state, batch), updated(agent, shifted, batch)
    assert metrics["actor/guidance_loss"] == 0
    for name, value in to_arrays(one.actor).items():
        np.testing.assert_array_equal(to_arrays(other.actor)[name], value)


def test_step_sizes_reach_zero(batch):
    agent = make_agent(lr_decay_steps=2)
    state = agent.init(jax.random.key(0))
    actors = []
    for _ in range(4):
        state, _ = updated(agent, state, batch)
        actors.append(to_arrays(state.actor))
    assert any((actors[0][name] != actors[1][name]).any() for name in actors[0])
    assert all((actors[2][name] == actors[3][name]).all() for name in actors[0])


def test_dropout_is_for_training_only(batch):
    agent = make_agent(dropout_rate=0.5, eta_lr=0.1)
    state = agent.init(jax.random.key(0))
    noise = agent.draw_noise(jax.random.key(1), 4)
    losses = [
        float(agent.update(state, batch, noise._replace(actor=noise.actor._replace(dropout_key=key)))[1]()[name])
        for key in (jax.random.key(5), jax.random.key(6))
        for name in ("actor/bc_loss",)
    ]
    assert losses[0] != losses[1]
    plain = replace(agent, config=replace(agent.config, dropout_rate=0.0))
    without = plain.update(state, batch, noise._replace(actor=noise.actor._replace(dropout_key=None)))
    dropped, _ = agent.update(state, batch, noise)
    assert float(dropped.eta) == pytest.approx(float(without[0].eta), rel=1e-6)  # compares the loss without dropout
