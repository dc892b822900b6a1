"""From options and a dataset to a learner."""

from dataclasses import replace

import numpy as np

from offlow_core.data.reward_rules import DAC, RewardMap, find_rule, tune_rewards
from offlow_core.data.selection import best_trajectories, random_trajectories
from offlow_core.data.transitions import Dataset
from offlow_core.jax.batch_orders import Distinct, Passes
from offlow_core.jax.device_data import Batch, make_sampler
from offlow_core.jax.learner import JaxLearner
from offlow_core.jax.networks import Array
from offlow_core.jax.online import OnlinePhase
from offlow_core.jax.phases import OfflinePhase
from offlow_core.jax.updates import Metrics, Report
from offlow_core.option_checks import OptionError
from offlow_core.random_streams import stream_seed
from offlow_core.suites.task import Task
from offlow_dac.action_selection import selecting
from offlow_dac.config import DacConfig
from offlow_dac.dac import Dac, DacState
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
    phases = make_phases(agent, options, task, online)
    return JaxLearner(agent.init, rule, rule, phases, dataset, seeds, sampler)


def prepared(options: DacOptions, dataset: Dataset) -> tuple[Dataset, RewardMap]:
    """The part of the dataset that is trained on, rewards changed by the numbers of the whole, and that change."""
    train, rewards = tune_rewards(dataset.train, find_rule(DAC, options.reward_tune))
    if options.percentage < 100:
        generator = np.random.default_rng(stream_seed(options.seed, "percentage"))
        train = random_trajectories(train, options.percentage, generator)
    if options.percentile < 100:
        train = best_trajectories(train, options.percentile)
    held_out = None if dataset.validation is None else rewards.applied_to(dataset.validation)
    return replace(dataset, train=train, validation=held_out), rewards


def make_phases(agent: Dac, options: DacOptions, task: Task, rewards: RewardMap) -> list[OfflinePhase | OnlinePhase]:
    """Updates on the dataset, then the same updates between environment steps, if any."""
    batch_size = agent.config.batch_size

    def update(state: DacState, batch: Batch, key: Array) -> tuple[DacState, Report]:
        return agent.update(state, batch, agent.draw_noise(key, batch_size))

    def validate(state: DacState, batch: Batch, key: Array) -> Metrics:
        return agent.loss_metrics(state, batch, agent.draw_noise(key, batch_size))

    offline = OfflinePhase(
        "offline",
        0,
        options.offline_steps,
        update=update,
        batch_size=batch_size,
        validate=validate,
        order=Distinct() if options.rand_batch else Passes(),
    )
    online = OnlinePhase(
        "online",
        first_step=options.offline_steps,
        steps=options.online_steps,
        update=update,
        batch_size=batch_size,
        make_environment=task.make_environment,
        buffer_size=options.buffer_size,
        balanced=options.balanced_sampling,
        rewards=rewards,
    )
    return [offline, online]
