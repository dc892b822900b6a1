"""The learner's verbs on a toy agent: phases, stores, metrics, policies."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.transitions import Dataset
from offlow_core.jax.acting import ActionRule, jitted_policy
from offlow_core.jax.device_data import Sampler
from offlow_core.jax.learner import JaxLearner
from offlow_core.jax.phases import OfflinePhase


class Toy(NamedTuple):
    """One number that counts and one that learns."""

    count: jax.Array
    value: jax.Array


def init(key: jax.Array) -> Toy:
    return Toy(jnp.zeros((), jnp.int32), jax.random.normal(key, (2,)))


def act(state: Toy, observations: jax.Array, z: jax.Array) -> jax.Array:
    return state.value + observations[:, :2] + z


RULE = ActionRule(act, (1,))


def update(state: Toy, batch: dict, key: jax.Array) -> tuple:
    value = state.value + batch["actions"].mean(0) + batch.get("shift", jnp.zeros(1)).mean()
    return Toy(state.count + 1, value), lambda: {"loss": value.sum(), "count": state.count + 1}


def prepare(state: Toy, data: Any, name: str) -> dict[str, jax.Array]:
    """A column whose value tells the seed's count and which data it is for."""
    shift = state.count + (1000 if name == "validation" else 0)
    return {"shift": jnp.broadcast_to(shift[:, None], (len(state.count), len(data.rows))).astype(float)}


def validate(state: Toy, batch: dict, key: jax.Array) -> dict[str, jax.Array]:
    return {"shift": batch["shift"].mean(), "draw": jax.random.uniform(key), "reward": batch["rewards"].mean()}


class Shelf:
    """A store in memory."""

    def __init__(self, *seeds: int):
        self.kept = {seed: Toy(jnp.asarray(77), jnp.full(2, float(seed))) for seed in seeds}

    def load(self, state: Toy, seed: int) -> Toy | None:
        return self.kept.get(seed)

    def save(self, state: Toy, seed: int) -> None:
        self.kept[seed] = state


def make_learner(data, seeds=(0, 1), store=None, validation=None) -> JaxLearner:
    first = OfflinePhase("first", -3, 3, update=update, batch_size=2, store=store)
    second = OfflinePhase("second", 0, 5, update=update, batch_size=2, prepare=prepare, validate=validate)
    return JaxLearner(init, RULE, RULE, [first, second], Dataset(data, validation, {}), seeds, Sampler())


def test_phases_hand_over_and_metrics_are_per_seed(states):
    learner = make_learner(states)
    first, second = learner.phases
    assert (first.last_step, second.last_step) == (0, 5)
    assert learner.enter(first)
    learner.advance(-3, 3)
    learner.leave(first)
    assert learner.validation_metrics(0) == [{}, {}]
    assert learner.enter(second)
    before = [arrays["agent/value"].sum() for arrays in map(learner.state_arrays, range(2))]
    learner.advance(0, 1)
    metrics = learner.metrics()
    assert [m["count"] for m in metrics] == [4.0, 4.0]
    # `prepare` saw the count 3 that the first phase ended with: it is added to both components, plus two actions.
    for start, m in zip(before, metrics, strict=True):
        assert abs(m["loss"] - (start + 6)) <= 2
    assert metrics[0]["loss"] != metrics[1]["loss"]


def test_columns_are_made_once_and_continue_from_a_checkpoint(states):
    learner = make_learner(states, validation=states)
    learner.enter(learner.phases[0])
    learner.advance(-3, 3)
    learner.enter(learner.phases[1])
    learner.advance(0, 2)
    saved = [learner.state_arrays(i) for i in range(2)]
    assert saved[0]["stage/second/train/shift"].tolist() == [3.0] * len(states)
    assert saved[0]["stage/second/validation/shift"].tolist() == [1003.0] * len(states)
    again = make_learner(states, validation=states)
    again.load_state_arrays(saved)
    again.enter(again.phases[1])
    for each in (learner, again):
        each.advance(2, 3)
    # Made anew, the columns would hold the count 5.
    assert again.metrics() == learner.metrics()
    assert again.validation_metrics(5) == learner.validation_metrics(5)
    assert [a.tolist() for a in again.state_arrays(1).values()] == [
        a.tolist() for a in learner.state_arrays(1).values()
    ]


def test_what_one_phase_saved_is_not_given_to_the_next(states):
    learner = make_learner(states)
    learner.load_state_arrays([{**make_learner(states).state_arrays(i), "stage/first/x": np.ones(1)} for i in (0, 1)])
    assert "stage/first/x" in learner.state_arrays(0)  # nothing entered: what was loaded stays
    learner.enter(learner.phases[1])
    learner.advance(0, 1)
    assert [name for name in learner.state_arrays(0) if name.startswith("stage/")] == ["stage/second/train/shift"]


def test_what_belongs_to_no_phase_is_refused(states):
    learner = make_learner(states)
    arrays = [learner.state_arrays(i) | {"stage/replay/rewards": np.ones(1)} for i in (0, 1)]
    with pytest.raises(ValueError, match=r"replay/rewards of none of the phases \['first', 'second'\]"):
        learner.load_state_arrays(arrays)


def test_held_out_metrics_depend_on_the_step_alone(states):
    learner = make_learner(states, seeds=(0,), validation=states)
    learner.enter(learner.phases[1])
    found = [learner.validation_metrics(step)[0] for step in (2, 2, 3)]
    assert set(found[0]) == {"validation/shift", "validation/draw", "validation/reward"}
    assert found[0]["validation/shift"] == 1000.0
    assert found[0] == found[1]
    assert found[0]["validation/draw"] != found[2]["validation/draw"]


def test_a_finished_phase_is_stored_per_seed_and_found_again(states):
    shelf = Shelf()
    learner = make_learner(states, store=shelf)
    assert learner.enter(learner.phases[0])
    learner.advance(-3, 3)
    learner.leave(learner.phases[0])
    assert sorted(shelf.kept) == [0, 1]
    again = make_learner(states, store=shelf)
    assert not again.enter(again.phases[0])
    np.testing.assert_array_equal(again.state.value, learner.state.value)


def test_what_is_stored_for_some_seeds_only_is_trained_for_all(states):
    learner = make_learner(states, store=Shelf(1))
    assert learner.enter(learner.phases[0])
    assert learner.state.count.tolist() == [0, 0]


def test_a_policys_noise_belongs_to_its_row(states):
    learner = make_learner(states)
    policy = learner.policy(1)
    observations = np.zeros((3, 3), np.float32)
    seeds = np.array([[1, 2], [3, 4], [1, 2]], np.uint32)
    actions = policy(observations, seeds)
    assert isinstance(actions, np.ndarray)
    assert actions.shape == (3, 2)
    np.testing.assert_array_equal(actions[0], actions[2])
    assert (actions[0] != actions[1]).all()
    np.testing.assert_array_equal(policy(observations[:, :], seeds[::-1].copy())[1], actions[1])
    assert (learner.policy(0)(observations, seeds) != actions).all()


def test_the_policy_survives_further_training(states):
    learner = make_learner(states, seeds=(0,))
    learner.enter(learner.phases[1])
    policy, args = learner.policy(0), (np.zeros((1, 3), np.float32), np.zeros((1, 2), np.uint32))
    before = policy(*args)
    learner.advance(0, 2)  # donates the state
    np.testing.assert_array_equal(policy(*args), before)


def test_noise_is_standard_normal():
    policy = jitted_policy(ActionRule(lambda state, observations, z: z, (2,)))
    seeds = np.stack([np.arange(4000), np.zeros(4000)], 1).astype(np.uint32)
    z = np.asarray(policy(None, np.zeros((4000, 1), np.float32), seeds))
    assert np.abs(z.mean(0)).max() < 0.06
    assert np.abs(z.std(0) - 1).max() < 0.04
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.06


def test_non_finite_parameters_are_noticed(states):
    learner = make_learner(states)
    assert learner.is_finite()
    learner.state = learner.state._replace(value=learner.state.value.at[1, 0].set(jnp.nan))
    assert not learner.is_finite()


def test_the_state_of_another_agent_is_refused(states):
    learner = make_learner(states)
    with pytest.raises(ValueError, match=r"missing.*count"):
        learner.load_state_arrays([{"agent/value": np.zeros(2, np.float32)}] * 2)
