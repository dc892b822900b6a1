"""What an evaluation does, with numbers that can be checked by hand; all in this process."""

import functools

import gymnasium
import numpy as np
import pytest
import toy_environments as toys
from hypothesis import given, settings
from hypothesis import strategies as st

from offlow_core.evaluation import EvaluationError, Evaluator, episode_seed


def constant(value, horizon=None):
    shape = (1,) if horizon is None else (horizon, 1)
    return lambda observations, noise_seeds: np.full((len(noise_seeds), *shape), value)


class Recorder:
    """A policy that notes what it is asked."""

    def __init__(self, policy):
        self.policy, self.observations, self.noise_seeds = policy, [], []

    def __call__(self, observations, noise_seeds):
        self.observations.append(observations)
        self.noise_seeds.append(noise_seeds)
        return self.policy(observations, noise_seeds)


def noisy(observations, noise_seeds, horizon=1):
    draws = [np.random.default_rng(row).normal(size=(horizon, 1)) for row in noise_seeds]
    return np.stack(draws) + observations[:, None, 1:]


def evaluate(make_environment, policy, *, episodes=1, seed=0, num_envs=2):
    with Evaluator(make_environment, num_envs=num_envs, num_workers=0) as evaluator:
        return evaluator.evaluate(policy, episodes=episodes, seed=seed)


def test_an_episode_that_reaches_its_goal():
    (record,) = evaluate(toys.Walk, constant(1.0))
    assert (record.episode, record.seed) == (0, episode_seed(0, 0))
    assert (record.return_, record.length, record.terminated, record.success) == (3.0, 3, True, 1.0)
    assert record.info.keys() == {"total", "pid"}  # neither the text nor the array, and success has its own place
    assert record.info["total"] == 3.0


def test_an_episode_that_runs_out_of_time():
    (record,) = evaluate(toys.Walk, constant(0.5))
    assert (record.return_, record.length, record.terminated, record.success) == (2.5, 5, False, 0.0)


def test_success_is_unknown_where_the_environment_reports_none():
    (record,) = evaluate(toys.Quiet, constant(1.0))
    assert np.isnan(record.success)
    assert record.info == {}


def test_actions_are_clipped_to_the_action_space():
    (record,) = evaluate(toys.Walk, constant(-7.0))
    assert record.return_ == -5.0


def test_episodes_are_queued_over_the_slots():
    records = evaluate(toys.Walk, constant(1.0), episodes=5, num_envs=2)
    assert [record.episode for record in records] == [0, 1, 2, 3, 4]
    assert [record.seed for record in records] == [episode_seed(0, i) for i in range(5)]
    assert [record.return_ for record in records] == [3.0] * 5


def test_only_needed_environments_are_built():
    built = []
    evaluate(lambda: built.append(toys.Walk()) or built[-1], constant(1.0), episodes=2, num_envs=8)
    assert len(built) == 2


def test_the_policy_always_sees_full_batches_of_its_own():
    policy = Recorder(constant(1.0))
    evaluate(toys.Walk, policy, episodes=3, num_envs=2)
    # Episodes 0 and 1 take three steps side by side, then episode 2 takes three alone.
    assert [o.shape for o in policy.observations] == [(2, 2)] * 6
    assert [o.dtype for o in policy.observations] == [np.float32] * 6
    assert policy.observations[1].tolist() == [[1, 1], [1, 1]]  # steps, total; not overwritten later
    assert policy.observations[4][0].tolist() == [1, 1]


def test_noise_seeds_name_the_episode_and_the_step():
    policy = Recorder(constant(1.0))
    evaluate(toys.Walk, policy, episodes=2, seed=9, num_envs=2)
    first, second = episode_seed(9, 0), episode_seed(9, 1)
    assert policy.noise_seeds[0].dtype == np.uint32
    assert [n.tolist() for n in policy.noise_seeds] == [[[first, step], [second, step]] for step in range(3)]


def test_a_chunk_is_executed_before_the_policy_is_asked_again():
    policy = Recorder(constant(0.5, horizon=2))
    (record,) = evaluate(toys.Walk, policy, num_envs=1)
    assert [int(n[0, 1]) for n in policy.noise_seeds] == [0, 2, 4]  # the last chunk is cut by the time limit
    assert (record.return_, record.length) == (2.5, 5)


def test_the_rest_of_a_chunk_does_not_reach_the_next_episode():
    policy = Recorder(lambda _, noise_seeds: np.tile([[1.0], [1.0], [1.0], [-1.0]], (len(noise_seeds), 1, 1)))
    records = evaluate(toys.Walk, policy, episodes=2, num_envs=1)
    assert [(record.return_, record.length) for record in records] == [(3.0, 3), (3.0, 3)]
    assert len(policy.noise_seeds) == 2


def test_seeds_are_those_of_a_seed_sequence():
    assert episode_seed(3, 5) == np.random.SeedSequence([3, 5]).generate_state(1)[0]
    assert len({episode_seed(seed, episode) for seed in range(20) for episode in range(50)}) == 1000


@settings(max_examples=15, deadline=None)
@given(num_envs=st.integers(1, 9), episodes=st.integers(1, 9), seed=st.integers(0, 2**40), horizon=st.integers(1, 3))
def test_records_do_not_depend_on_the_number_of_environments(num_envs, episodes, seed, horizon):
    policy = functools.partial(noisy, horizon=horizon)
    alone = evaluate(toys.Weather, policy, episodes=episodes, seed=seed, num_envs=1)
    together = evaluate(toys.Weather, policy, episodes=episodes, seed=seed, num_envs=num_envs)
    assert alone == together


def test_an_evaluation_does_not_depend_on_earlier_ones():
    with Evaluator(toys.Weather, num_envs=3, num_workers=0) as evaluator:
        first = evaluator.evaluate(noisy, episodes=4, seed=1)
        other = evaluator.evaluate(noisy, episodes=5, seed=2)
        assert evaluator.evaluate(noisy, episodes=4, seed=1) == first
    assert other[:4] != first


def test_numpys_global_generator_is_left_as_it_was():
    expected = np.random.RandomState(5)
    np.random.seed(5)  # noqa: NPY002
    assert np.random.normal() == expected.normal()  # noqa: NPY002 (half a pair of normals is now cached)
    evaluate(toys.Weather, noisy, episodes=3)
    assert [np.random.normal() for _ in range(3)] == [expected.normal() for _ in range(3)]  # noqa: NPY002


def test_progress_counts_episodes(capsys):
    with Evaluator(toys.Walk, num_envs=2, num_workers=0) as evaluator:
        evaluator.evaluate(constant(1.0), episodes=3, seed=0, progress=True)
        assert "evaluation:   0%|          | 0/3" in capsys.readouterr().err
        evaluator.evaluate(constant(1.0), episodes=3, seed=0)
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_action_that_is_not_finite_is_refused(bad):
    def policy(observations, noise_seeds):
        actions = np.ones((len(noise_seeds), 1))
        actions[1] = np.where(observations[1, 0] == 2, bad, 1.0)
        return actions

    message = rf"episode 1 \(seed {episode_seed(0, 1)}\): after 2 steps: the policy gave a non-finite action: \[{bad}\]"
    with pytest.raises(EvaluationError, match=message):
        evaluate(toys.Walk, policy, episodes=2)


def test_what_the_policy_answers_for_idle_rows_does_not_matter():
    def policy(_, noise_seeds):
        return np.where(noise_seeds[:, :1] == episode_seed(0, 0), 1.0, np.nan)

    (record,) = evaluate(toys.Walk, policy, episodes=1, num_envs=4)
    assert record.success == 1.0


@pytest.mark.parametrize("shape", [(2,), (3, 1), (2, 0, 1), (2, 1, 1, 1)])
def test_actions_of_the_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"actions \[2, A\] or chunks \[2, h, A\] for 2 observations, got shape"):
        evaluate(toys.Walk, lambda *_: np.zeros(shape))


def test_actions_of_the_wrong_width_are_refused():
    with pytest.raises(EvaluationError, match=r"takes actions of shape \(1,\), the policy gave \(3,\)"):
        evaluate(toys.Walk, lambda *_: np.zeros((2, 3)))


def test_discrete_actions_are_refused():
    with pytest.raises(EvaluationError, match=r"Box action space of one axis, got Discrete\(2\)"):
        evaluate(functools.partial(gymnasium.make, "CartPole-v1"), constant(1.0))


def test_nested_observations_are_refused():
    with pytest.raises(EvaluationError, match=r"one array of numbers, got dict; flatten"):
        evaluate(toys.Nested, constant(1.0))


def test_an_observation_that_is_not_finite_is_refused():
    broken = functools.partial(toys.Broken, episode_seed(0, 1), "observe nan")
    with pytest.raises(EvaluationError, match=rf"episode 1 \(seed {episode_seed(0, 1)}\).*not finite at \[\[1\]\]"):
        evaluate(broken, constant(1.0), episodes=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"num_workers": -1}, "num_workers must be None, 0 or positive"),
    ],
)
def test_impossible_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Evaluator(toys.Walk, **arguments)


@pytest.mark.parametrize("arguments", [{"episodes": 0, "seed": 0}, {"episodes": 1, "seed": -1}])
def test_impossible_evaluations_are_refused(arguments):
    with pytest.raises(ValueError, match="at least one episode and a seed from 0"):
        evaluate(toys.Walk, constant(1.0), **arguments)


def test_a_gymnasium_environment_with_known_rewards():
    # MountainCarContinuous pays -0.1 a^2 a step, and 100 at the goal, which full throttle to the right never reaches.
    (record,) = evaluate(functools.partial(gymnasium.make, "MountainCarContinuous-v0"), constant(2.0))
    assert record.return_ == pytest.approx(-99.9)
    assert (record.length, record.terminated) == (999, False)
