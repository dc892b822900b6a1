"""From options and a dataset to a learner."""

from dataclasses import replace

import numpy as np

from offlow_core.data.reward_rules import DAC, RewardMap, find_rule, tune_dataset
from offlow_core.data.selection import best_trajectories, random_trajectories
from offlow_core.data.transitions import Dataset
from offlow_core.jax.agent_phases import agent_phases
from offlow_core.jax.batch_orders import Distinct, Passes
from offlow_core.jax.device_data import make_sampler
from offlow_core.jax.learner import JaxLearner
from offlow_core.option_checks import OptionError
from offlow_core.random_streams import stream_seed
from offlow_core.suites.task import Task
from offlow_dac.action_selection import selecting
from offlow_dac.config import DacConfig
from offlow_dac.dac import Dac
from offlow_dac.options import DacOptions


def make_agent(config: DacConfig, observation_shape: tuple[int, ...], action_dim: int) -> Dac:
    """The agent of a configuration; OptionError where observations are images."""
    if len(observation_shape) != 1:
        raise OptionError(
            f"DAC has no image encoder: it needs observations that are state vectors, got "
            f"{'x'.join(map(str, observation_shape))}; choose the task's state variant"
        )
    return Dac(config, observation_shape[0], action_dim)


def make_learner(options: DacOptions, dataset: Dataset, task: Task) -> JaxLearner:
    """A learner for consecutive seeds from `options.seed` on."""
    dataset, rewards = prepared(options, dataset)
    sampler = make_sampler(dataset.train, frame_stack=options.frame_stack, p_aug=None)
    shape = dataset.train.observation_shape(sampler.frame_stack)
    agent = make_agent(options.agent, shape, dataset.train.actions.shape[1])
    # Rewards met online go the way of the dataset's: the suite's shift first, then what the options make of them.
    online = RewardMap(rewards.shift - task.reward_shift, rewards.factor)
    rule, seeds = selecting(agent), range(options.seed, options.seed + options.num_seeds)
    order = Distinct() if options.rand_batch else Passes()
    phases = agent_phases(agent, options, task, rewards=online, order=order)
    return JaxLearner(agent.init, rule, rule, phases, dataset, seeds, sampler)


def prepared(options: DacOptions, dataset: Dataset) -> tuple[Dataset, RewardMap]:
    """The part of the dataset that is trained on, rewards changed by the numbers of the whole, and that change."""
    dataset, rewards = tune_dataset(dataset, find_rule(DAC, options.reward_tune))
    train = dataset.train
    if options.percentage < 100:
        # The same share for every seed, so that one beside others equals a run of its own.
        generator = np.random.default_rng(stream_seed(0, "percentage"))
        train = random_trajectories(train, options.percentage, generator)
    if options.percentile < 100:
        train = best_trajectories(train, options.percentile)
    return replace(dataset, train=train), rewards
