"""Options whose values come from the dataset: the allowed divergence and the range of rewards."""

import sys
from dataclasses import replace

from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError
from offlow_core.suites.task import Task
from offlow_deflow.config import Options, RefinementConfig, ReturnFlowConfig


def from_data(options: Options, dataset: Dataset, task: Task) -> Options:
    """The options with numbers in place of what they leave to the data."""
    agent = options.agent
    if isinstance(agent, RefinementConfig) and agent.target_divergence == "auto":
        agent = replace(agent, target_divergence=_divergence(dataset, task))
    if isinstance(agent, ReturnFlowConfig):
        agent = with_reward_range(agent, dataset)
    return replace(options, agent=agent)


def with_reward_range(agent: ReturnFlowConfig, dataset: Dataset) -> ReturnFlowConfig:
    """The least and largest reward, unless they are given; 0, the reward of what was padded upstream, is included."""
    rewards = dataset.train.rewards
    r_min = min(float(rewards.min()), 0.0) if agent.r_min is None else agent.r_min
    r_max = max(float(rewards.max()), 0.0) if agent.r_max is None else agent.r_max
    if r_min == r_max and agent.reward_offset == 0:
        raise DatasetError("all rewards are 0, and a flow critic needs a range of returns: set --agent.reward_offset")
    return replace(agent, r_min=r_min, r_max=r_max)


def _divergence(dataset: Dataset, task: Task) -> float:
    """The share of the action variance that the published rule allows on this task."""
    # Slow to import and rarely needed.
    from offlow_core.data.action_variance import estimate_action_variance, require_states
    from offlow_core.suites.target_divergence import recommended_target_divergence

    train = dataset.train
    require_states(train.observations, "target_divergence=auto (give a number for it)")
    estimate = estimate_action_variance(train.observations[train.rows], train.actions, train.terminals > 0)
    found = recommended_target_divergence(estimate.value, task.canonical_name)
    print(
        f"target_divergence auto: {found.factor:g} x intrinsic action variance {estimate.value:.4g} "
        f"= {found.target_divergence:.4g} ({found.rule})",
        file=sys.stderr,
    )
    return found.target_divergence
