"""Rules of rewards, by hand and against recorded outputs of DAC's official code (commit e254357)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from offlow_core.data.reward_rules import DAC, DIFFUSION_QL, RewardMap, find_rule, sparse, tune_rewards
from offlow_core.data.trajectories import returns
from offlow_core.data.transitions import Transitions
from offlow_core.data.validation import DatasetError
from offlow_core.option_checks import OptionError

RECORDED = Path(__file__).with_name("recorded_selection.npz")


def trajectories(rewards, ends, masks=None) -> Transitions:
    """Transitions with these rewards; where no masks are given nothing terminates."""
    n = len(rewards)
    return Transitions(
        observations=np.arange(n + 1, dtype=np.float32)[:, None],
        rows=np.arange(n, dtype=np.int32),
        next_rows=np.arange(1, n + 1, dtype=np.int32),
        actions=np.zeros((n, 1), np.float32),
        rewards=np.array(rewards, np.float32),
        masks=np.array([1] * n if masks is None else masks, np.float32),
        terminals=np.array(ends, np.float32),
    )


# Trajectories with the returns 3, 2 and -1 and the lengths 2, 1 and 2; only the second one terminates.
THREE = trajectories([1, 2, 2, 0, -1], [0, 1, 1, 0, 1], masks=[1, 1, 0, 1, 1])
MEAN, POPULATION_VARIANCE, UNBIASED_VARIANCE = 0.8, 1.36, 1.7


@pytest.mark.parametrize(
    ("rules", "name", "expected"),
    [
        (DAC, "no", [1, 2, 2, 0, -1]),
        (DAC, "iql_locomotion", [250, 500, 500, 0, -250]),  # 1000 / (3 - -1)
        (DAC, "traj_normalize", [0.25, 0.5, 0.5, 0, -0.25]),  # int(5 / 3) / 4
        (DAC, "reward_normalize", (np.array([1, 2, 2, 0, -1]) - MEAN) / POPULATION_VARIANCE**0.5),
        (DAC, "antmaze100", [100, 200, 200, 0, -100]),
        (DAC, "iql_antmaze", [0, 1, 1, -1, -2]),
        (DAC, "cql_antmaze", [2, 6, 6, -2, -6]),
        (DAC, "antmaze", [1.5, 3.5, 3.5, -0.5, -2.5]),
        (DIFFUSION_QL, "no", [1, 2, 2, 0, -1]),
        (DIFFUSION_QL, "normalize", (np.array([1, 2, 2, 0, -1]) - MEAN) / UNBIASED_VARIANCE**0.5),
        (DIFFUSION_QL, "iql_antmaze", [0, 1, 1, -1, -2]),
        (DIFFUSION_QL, "cql_antmaze", [2, 6, 6, -2, -6]),
        (DIFFUSION_QL, "antmaze", [1.5, 3.5, 3.5, -0.5, -2.5]),
    ],
)
def test_rules_by_hand(rules, name, expected):
    tuned, _ = tune_rewards(THREE, find_rule(rules, name))
    np.testing.assert_allclose(tuned.rewards, expected, rtol=1e-6)
    assert tuned.rewards.dtype == np.float32
    assert tuned.rows is THREE.rows


def test_every_rule_is_checked_by_hand():
    assert list(DAC) == [
        *("no", "iql_locomotion", "traj_normalize", "reward_normalize"),
        *("antmaze100", "iql_antmaze", "cql_antmaze", "antmaze"),
    ]
    assert list(DIFFUSION_QL) == ["no", "normalize", "iql_antmaze", "cql_antmaze", "antmaze", "iql_locomotion"]


def test_one_name_stands_for_two_rules():
    # Terminations after rewards 1 + 2 and 4 + 8 + 16: returns 3 and 28. Cut-offs: 3, 4, 24 and 32.
    data = trajectories([1, 2, 4, 8, 16, 32], [0, 1, 1, 0, 1, 1], masks=[1, 0, 1, 1, 0, 1])
    one, _ = tune_rewards(data, DIFFUSION_QL["iql_locomotion"])
    other, _ = tune_rewards(data, DAC["iql_locomotion"])
    np.testing.assert_allclose(one.rewards, np.array([1, 2, 4, 8, 16, 32]) * 1000 / 25, rtol=1e-6)
    np.testing.assert_allclose(other.rewards, np.array([1, 2, 4, 8, 16, 32]) * 1000 / 29, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in DAC if name != "no"])
def test_recorded_rewards(name):
    with np.load(RECORDED, allow_pickle=False) as file:
        data = trajectories(file["expected/rewards"], file["expected/dones_float"])
        tuned, _ = tune_rewards(data, DAC[name])
        np.testing.assert_allclose(tuned.rewards, file[f"expected/rewards_{name}"], rtol=1e-5, atol=1e-6)


def test_rewards_met_online_pass_the_datasets_map():
    _, reward_map = tune_rewards(THREE, DAC["iql_locomotion"])
    assert reward_map == RewardMap(0, 250)
    assert reward_map(np.float32(2)) == 500
    assert reward_map([[4, -4]]).tolist() == [[1000, -1000]]


def test_unknown_rules_name_the_choices():
    with pytest.raises(OptionError, match=r"one of \['no', 'normalize', .*'iql_locomotion'\], got 'normalise'"):
        find_rule(DIFFUSION_QL, "normalise")


@pytest.mark.parametrize("rule", [DAC["iql_locomotion"], DAC["traj_normalize"]])
@pytest.mark.parametrize(("rewards", "ends"), [([1, 2], [0, 1]), ([1, 2, 3, 0], [0, 1, 0, 1])])
def test_equal_returns_cannot_be_divided_by(rule, rewards, ends):
    with pytest.raises(DatasetError, match=r"every trajectory \(\d in all\) returns 3\. Choose a reward_tune"):
        tune_rewards(trajectories(rewards, ends), rule)


def test_without_a_termination_there_is_no_return_between_terminations():
    with pytest.raises(DatasetError, match="no trajectory ends in a termination"):
        tune_rewards(trajectories([1, 2], [1, 1]), DIFFUSION_QL["iql_locomotion"])


@pytest.mark.parametrize("rule", [DAC["reward_normalize"], DIFFUSION_QL["normalize"]])
@pytest.mark.parametrize("count", [1, 7])
def test_constant_rewards_cannot_be_normalised(rule, count):
    # The mean of seven times 0.1 is not 0.1 in floating point; the spread must count as 0 all the same.
    with pytest.raises(DatasetError, match=rf"all {count} are 0\.1"):
        tune_rewards(trajectories([0.1] * count, [1] * count), rule)


def test_sparse_knows_success_and_everything_else():
    values = sparse(np.array([-3, -1, 0, -0.5], np.float32))
    assert values.tolist() == [-1, -1, 0, -1]
    assert not np.signbit(values[2])
    assert values.dtype == np.float32


def test_sparse_makes_no_success_a_failure():
    with pytest.raises(OptionError, match=r"at most 0, where 0 means success, but there is one of 0\.5; leave"):
        sparse(np.array([-1, 0, 0.5], np.float32))


rewards_and_ends = st.lists(st.tuples(st.floats(-100, 100, width=32), st.booleans()), min_size=2, max_size=30)


@given(rewards_and_ends)
def test_returns_span_1000_after_the_range_rule(steps):
    rewards, ends = (np.array(column) for column in zip(*steps, strict=True))
    data = trajectories(rewards, np.append(ends[:-1], True))
    raw = returns(data.rewards, data.terminals)
    assume(raw.max() - raw.min() > 1e-3)
    tuned, _ = tune_rewards(data, DAC["iql_locomotion"])
    sums = returns(tuned.rewards, data.terminals)
    # float32 rewards: the error grows with the rewards' size beside the range that they are divided by.
    scale = 1000 * np.abs(data.rewards).sum() / (raw.max() - raw.min())
    assert sums.max() - sums.min() == pytest.approx(1000, abs=1e-6 * scale + 1e-3)


@given(rewards_and_ends)
def test_normalised_rewards_have_mean_0_and_deviation_1(steps):
    rewards = np.array([reward for reward, _ in steps], np.float32)
    assume(rewards.max() - rewards.min() > 1e-3 * max(1, np.abs(rewards).max()))
    data = trajectories(rewards, np.ones(len(rewards)))
    for rule, ddof in ((DAC["reward_normalize"], 0), (DIFFUSION_QL["normalize"], 1)):
        tuned = tune_rewards(data, rule)[0].rewards.astype(np.float64)
        assert tuned.mean() == pytest.approx(0, abs=1e-5)
        assert tuned.std(ddof=ddof) == pytest.approx(1, rel=1e-5)
