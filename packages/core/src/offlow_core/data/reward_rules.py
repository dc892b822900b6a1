"""How published methods change the rewards of a dataset, under the names that their options use.

A rule looks at all transitions once and gives a `RewardMap`. Applied to the dataset it gives the rewards to train on;
rewards met online afterwards go through the same map, with the dataset's numbers.

Two methods use one name, `iql_locomotion`, for two rules, hence a table for each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from offlow_core.data.trajectories import returns, spans
from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError
from offlow_core.option_checks import OptionError


@dataclass(frozen=True)
class RewardMap:
    """r -> factor * (r - shift)."""

    shift: float = 0.0
    factor: float = 1.0

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Rewards [...] -> [...] float32."""
        return (self.factor * (np.asarray(rewards, np.float64) - self.shift)).astype(np.float32)

    def applied_to(self, transitions: Transitions) -> Transitions:
        """The transitions with their rewards mapped."""
        return replace(transitions, rewards=self(transitions.rewards))


UNCHANGED = RewardMap()
RewardRule = Callable[[Transitions], RewardMap]


def constant(shift: float = 0.0, factor: float = 1.0) -> RewardRule:
    """The rule that gives this map whatever the data."""
    return lambda transitions: RewardMap(shift, factor)


def normalized(transitions: Transitions) -> RewardMap:
    """Mean 0 and population standard deviation 1."""
    return _standardized(transitions, ddof=0)


def normalized_unbiased(transitions: Transitions) -> RewardMap:
    """Mean 0 and unbiased standard deviation (n - 1) 1, as `torch.std` computes it."""
    return _standardized(transitions, ddof=1)


def return_range_1000(transitions: Transitions) -> RewardMap:
    """1000 r / (largest - smallest return of a trajectory)."""
    return RewardMap(factor=1000 / _return_range(transitions, transitions.terminals))


def return_range_length(transitions: Transitions) -> RewardMap:
    """As `return_range_1000`, with the mean length of a trajectory, rounded down, in the place of 1000."""
    starts, stops = spans(transitions.terminals)
    return RewardMap(factor=int(np.mean(stops - starts)) / _return_range(transitions, transitions.terminals))


def termination_range_1000(transitions: Transitions) -> RewardMap:
    """As `return_range_1000`, but only terminations separate trajectories.

    Kept as published: a trajectory that was cut off runs on into the next one, and what follows the last termination
    does not count.
    """
    return RewardMap(factor=1000 / _return_range(transitions, 1 - transitions.masks))


DAC: Mapping[str, RewardRule] = {
    "no": constant(),
    "iql_locomotion": return_range_1000,
    "traj_normalize": return_range_length,
    "reward_normalize": normalized,
    "antmaze100": constant(factor=100.0),
    "iql_antmaze": constant(shift=1.0),
    "cql_antmaze": constant(shift=0.5, factor=4.0),
    "antmaze": constant(shift=0.25, factor=2.0),
}
"""`reward_tune` of DAC (arXiv 2405.20555). Its official code takes any other name for `no`."""

DIFFUSION_QL: Mapping[str, RewardRule] = {
    "no": constant(),
    "normalize": normalized_unbiased,
    "iql_antmaze": constant(shift=1.0),
    "cql_antmaze": constant(shift=0.5, factor=4.0),
    "antmaze": constant(shift=0.25, factor=2.0),
    "iql_locomotion": termination_range_1000,
}
"""`reward_tune` of Diffusion-QL (arXiv 2208.06193)."""


def find_rule(rules: Mapping[str, RewardRule], name: str) -> RewardRule:
    """The rule of this name; OptionError that lists the choices where there is none."""
    if name not in rules:
        raise OptionError(f"reward_tune must be one of {list(rules)}, got {name!r}")
    return rules[name]


def tune_rewards(transitions: Transitions, rule: RewardRule) -> tuple[Transitions, RewardMap]:
    """The transitions with their rewards changed by `rule`, and the map for rewards still to come.

    DatasetError where the rule would divide by zero. Trajectories are counted in what is given: a selection of
    trajectories comes after this.
    """
    reward_map = rule(transitions)
    return reward_map.applied_to(transitions), reward_map


def tune_dataset(dataset: Dataset, rule: RewardRule) -> tuple[Dataset, RewardMap]:
    """`tune_rewards` of what is trained on; held-out rewards are changed by the same numbers."""
    train, reward_map = tune_rewards(dataset.train, rule)
    held_out = dataset.validation
    validation = None if held_out is None else reward_map.applied_to(held_out)
    return replace(dataset, train=train, validation=validation), reward_map


def sparse(rewards: np.ndarray) -> np.ndarray:
    """-1 where a reward is not 0, and 0 elsewhere, float32: `--sparse` of action-chunking methods (arXiv 2507.07969).

    In tasks whose reward is minus the number of open conditions, only having met them all is worth anything.
    OptionError for a reward above 0, which this would make a punishment.
    """
    rewards = np.asarray(rewards)
    if (rewards > 0).any():
        raise OptionError(
            f"sparse is for rewards of at most 0, where 0 means success, but there is one of {rewards.max():g}; "
            "leave it out, or shift the rewards of the data and of the environment"
        )
    return np.where(rewards != 0, np.float32(-1), np.float32(0))


def _standardized(transitions: Transitions, ddof: int) -> RewardMap:
    rewards = np.asarray(transitions.rewards, np.float64)
    if rewards.min() == rewards.max():
        raise DatasetError(
            f"rewards cannot be divided by their standard deviation: all {len(rewards)} are {rewards[0]:g}. "
            "Choose a reward_tune that does not normalise."
        )
    return RewardMap(float(rewards.mean()), float(1 / rewards.std(ddof=ddof)))


def _return_range(transitions: Transitions, ends: np.ndarray) -> float:
    sums = returns(transitions.rewards, ends)
    if not sums.size:
        raise DatasetError(
            "rewards cannot be divided by the range of returns: no trajectory ends in a termination. "
            "Choose a reward_tune that does not need one."
        )
    if sums.max() == sums.min():
        raise DatasetError(
            f"rewards cannot be divided by the range of returns: every trajectory ({len(sums)} in all) returns "
            f"{sums[0]:g}. Choose a reward_tune that does not need a range."
        )
    return float(sums.max() - sums.min())
