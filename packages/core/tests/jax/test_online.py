"""A toy agent that learns offline and then explores a toy environment, with the real learner."""

from functools import partial
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.jax.acting import ActionRule
from offlow_core.jax.device_data import Sampler
from offlow_core.jax.learner import JaxLearner
from offlow_core.jax.online import OnlinePhase
from offlow_core.jax.phases import OfflinePhase
from offlow_core.training.learner import Phase

BATCH, OFFLINE, ONLINE = 5, 4, 12


class Drift(gymnasium.Env):
    """A point pushed about by actions and its own noise; ends truly far to the right, else after 5 steps."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.hidden, self.steps = self.np_random.normal(size=3), 0
        return self.hidden.astype(np.float32), {}

    def step(self, action):
        self.steps += 1
        self.hidden = self.hidden + 0.3 * action.sum() + self.np_random.normal(size=3)
        done = bool(self.hidden[0] > 2)
        # A reward above 100 tells the new transitions from the dataset's.
        return self.hidden.astype(np.float32), 100.0 + self.steps, done, self.steps == 5, {"success": float(done)}


class Toy(NamedTuple):
    """A bias of the policy and what it last learned from."""

    bias: jax.Array
    seen: jax.Array


def init(key: jax.Array) -> Toy:
    return Toy(jax.random.normal(key, (2,)), jnp.zeros(BATCH))


def act(state: Toy, observations: jax.Array, z: jax.Array) -> jax.Array:
    return jnp.clip(state.bias + 0.1 * observations[:, :2] + z, -1, 1)


RULE = ActionRule(act, (1,))


def update(state: Toy, batch: dict, key: jax.Array) -> tuple:
    noise = jax.random.normal(key, (2,))
    bias = 0.9 * state.bias + 0.1 * batch["actions"].mean(0) + 0.01 * noise
    metrics = {"toy/loss": jnp.mean(bias**2), "toy/online": jnp.mean(batch["rewards"] > 100)}
    return Toy(bias, batch["rewards"]), lambda: metrics


def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(8, 3)).astype(np.float32)
    columns = {"actions": rng.uniform(-1, 1, (7, 2)), "rewards": np.arange(7), "masks": np.ones(7)}
    ends = np.arange(7) == 6
    train = Transitions.from_arrays(observations[:-1], terminals=ends, next_observations=observations[1:], **columns)
    return Dataset(train, None, {})


def make_learner(seeds: tuple[int, ...] = (3,), *, balanced: bool = False, buffer_size: int = 100) -> JaxLearner:
    phases = [
        OfflinePhase("offline", 0, OFFLINE, update=update, batch_size=BATCH),
        OnlinePhase(
            "online",
            OFFLINE,
            ONLINE,
            update=update,
            batch_size=BATCH,
            make_environment=Drift,
            buffer_size=buffer_size,
            balanced=balanced,
        ),
    ]
    return JaxLearner(init, RULE, RULE, phases, dataset(), seeds, Sampler())


def advance(learner: JaxLearner, phase: Phase, start: int, *cuts: int) -> None:
    for steps in cuts:
        learner.advance(start, steps)
        start += steps


def train(learner: JaxLearner, *cuts: int, start: int = OFFLINE) -> JaxLearner:
    """Through the offline phase, then online in blocks of these lengths."""
    offline, online = learner.phases
    if start == OFFLINE:
        learner.enter(offline)
        advance(learner, offline, 0, OFFLINE)
        learner.leave(offline)
    learner.enter(online)
    advance(learner, online, start, *cuts)
    return learner


def arrays_of(learner: JaxLearner) -> list[dict[str, np.ndarray]]:
    return [learner.state_arrays(i) for i in range(len(learner.seeds))]


def assert_identical(found: list[dict], expected: list[dict]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        assert set(mine) == set(theirs)
        for name in theirs:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


@pytest.mark.parametrize(
    ("seeds", "options"), [((3,), {"buffer_size": 8}), ((3, 4), {"balanced": True})], ids=["overwriting", "balanced"]
)
def test_cut_saved_and_restored_in_the_middle_of_an_episode_equals_uninterrupted(seeds, options, capsys):
    make = partial(make_learner, seeds, **options)
    whole = train(make(), ONLINE)
    first = train(make(), 2, 4)
    saved = arrays_of(first)
    assert any(arrays["stage/online/interaction/actions"].size for arrays in saved)  # an episode is under way
    second = make()
    second.load_state_arrays(saved)
    train(second, 5, 1, start=OFFLINE + 6)
    assert_identical(arrays_of(second), arrays_of(whole))
    assert second.metrics() == whole.metrics()


def test_saved_and_restored_offline_equals_uninterrupted():
    whole, first, second = make_learner(), make_learner(), make_learner()
    offline = whole.phases[0]
    for learner in (whole, first):
        learner.enter(offline)
    whole.advance(0, OFFLINE)
    first.advance(0, 1)
    second.load_state_arrays(arrays_of(first))
    second.enter(offline)
    second.advance(1, OFFLINE - 1)
    assert_identical(arrays_of(second), arrays_of(whole))


def test_a_finished_run_can_be_loaded_and_saved_again():
    saved = arrays_of(train(make_learner(), ONLINE))
    again = make_learner()
    again.load_state_arrays(saved)
    assert_identical(arrays_of(again), saved)


def test_the_first_online_update_already_sees_its_own_transition():
    learner = train(make_learner(balanced=True), 1)
    rewards = learner.state_arrays(0)["agent/seen"]
    # Five per batch: two from the dataset, three times the only new one.
    assert (rewards[:2] < 100).all()
    assert rewards[2:].tolist() == [101.0, 101.0, 101.0]


@pytest.mark.parametrize("steps", [1, 7, 12])
def test_balanced_batches_are_half_and_half(steps):
    learner = train(make_learner(balanced=True), steps)
    assert learner.metrics()[0]["toy/online"] == pytest.approx(3 / 5)


def test_episodes_are_reported_and_transitions_kept():
    learner = train(make_learner(), ONLINE)
    metrics, arrays = learner.metrics()[0], learner.state_arrays(0)
    length = metrics["online/episode_length"]
    assert metrics["online/episode_return"] == 100 * length + length * (length + 1) / 2
    assert arrays["stage/online/replay/rewards"].shape == (ONLINE,)
    ends = np.flatnonzero(arrays["stage/online/replay/masks"] == 0)
    assert (arrays["stage/online/replay/next_observations"][ends, 0] > 2).all()
    assert set(np.flatnonzero(arrays["stage/online/replay/next_observations"][:, 0] > 2)) == set(ends)


@pytest.mark.parametrize(
    ("options", "message"), [({"buffer_size": 8}, "full after 1 online steps"), ({"buffer_size": 19}, None), ({}, None)]
)
def test_it_is_told_when_overwriting_will_start(options, message, capsys):
    learner = make_learner(**options)
    learner.enter(learner.phases[1])
    shown = capsys.readouterr().err
    assert message in shown if message else shown == ""
