"""From options to a learner: training from scratch, or from a dataset to its environment."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from offlow_core.data.reward_rules import sparse
from offlow_core.data.selection import first_transitions
from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.suites.task import Task
from offlow_core.torch.agent import TorchAgent
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device import configure
from offlow_core.torch.device_data import Sampler
from offlow_core.torch.learner import TorchLearner
from offlow_core.torch.online import OnlinePhase
from offlow_core.training.learner import Phase
from offlow_sacflow.chunk.agents import make_chunk_agent
from offlow_sacflow.chunk.two_updates import TwoUpdatesAgent
from offlow_sacflow.options import ChunkOptions, ScratchOptions
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.policy import ActionRange


def make_learner(options: ScratchOptions | ChunkOptions, dataset: Dataset, task: Task) -> TorchLearner:
    """A learner for consecutive seeds from `options.seed` on."""
    if isinstance(options, ScratchOptions):
        return _from_scratch(options, dataset, task)
    return _with_chunks(options, dataset, task)


def _from_scratch(options: ScratchOptions, dataset: Dataset, task: Task) -> TorchLearner:
    device = configure(options.device)
    online = OnlinePhase(
        "online",
        0,
        options.total_timesteps,
        make_environment=task.make_environment,
        buffer_size=options.buffer_size,
        random_steps=options.learning_starts,
        first_update=options.learning_starts + 2,  # the official loop counts steps from 0, and compares with >
        rewards=task.rewards,
        samples_last=True,
    )
    (width,) = dataset.train.observation_shape()
    seeds, action_range = _seeds(options), ActionRange.of(task.spaces()[1], device)
    agents = [
        SacFlow(options.agent, width, action_range, seed=seed, device=device, compiled=options.compile)
        for seed in seeds
    ]
    return _learner(options, agents, [online], dataset, Sampler(), device)


def _with_chunks(options: ChunkOptions, dataset: Dataset, task: Task) -> TorchLearner:
    device = configure(options.device)
    dataset = prepared(options, dataset)
    online = OnlinePhase(
        "online",
        options.offline_steps,
        options.online_steps,
        make_environment=task.make_environment,
        buffer_size=options.buffer_size,
        first_update=options.start_training,
        updates_per_step=options.utd_ratio,
        rewards=partial(_online_rewards, options, task),
        begin=_begin_online,
    )
    phases = [Phase("offline", 0, options.offline_steps), online]
    shape, action_dim = dataset.train.observation_shape(), dataset.train.actions.shape[1]
    agents = [
        make_chunk_agent(options.agent, shape, action_dim, seed=seed, device=device, compiled=options.compile)
        for seed in _seeds(options)
    ]
    return _learner(
        options, agents, phases, dataset, ChunkSampler(options.agent.horizon_length, options.discount), device
    )


def prepared(options: ChunkOptions, dataset: Dataset) -> Dataset:
    """The part of the dataset that is trained on, with the rewards that the options ask for."""
    if options.dataset_proportion < 1:
        dataset = replace(dataset, train=first_transitions(dataset.train, options.dataset_proportion))
    return dataset.mapped(_with_sparse_rewards) if options.sparse else dataset


def _with_sparse_rewards(transitions: Transitions) -> Transitions:
    return replace(transitions, rewards=sparse(transitions.rewards))


def _online_rewards(options: ChunkOptions, task: Task, rewards: np.ndarray) -> np.ndarray:
    rewards = task.rewards(rewards)
    return sparse(rewards) if options.sparse else rewards


def _begin_online(agent: TorchAgent) -> None:
    if isinstance(agent, TwoUpdatesAgent):
        agent.begin_online()


def _seeds(options: ScratchOptions | ChunkOptions) -> range:
    return range(options.seed, options.seed + options.num_seeds)


def _learner(
    options: ScratchOptions | ChunkOptions,
    agents: Sequence[TorchAgent],
    phases: Sequence[Phase],
    dataset: Dataset,
    sampler: Sampler | ChunkSampler,
    device: torch.device,
) -> TorchLearner:
    return TorchLearner(
        agents,
        _seeds(options),
        phases,
        dataset,
        sampler,
        batch_size=options.agent.batch_size,
        device=device,
        record=options.compile and device.type == "cuda",
    )
