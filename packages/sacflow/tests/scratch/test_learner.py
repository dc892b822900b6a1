"""The three policies through the learner of the core."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from scratch_agents import make_config

from offlow_core.data.transitions import Dataset
from offlow_core.suites.task import Task
from offlow_core.testing.learner_battery import LearnerBattery
from offlow_core.torch.device_data import Sampler
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase
from offlow_core.training.options import RunOptions
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.config import NaiveConfig, ScratchConfig
from offlow_sacflow.scratch.policy import ActionRange


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Of a run on a dataset, which is enough to drive the agent."""

    agent: ScratchConfig = field(default_factory=NaiveConfig)


def make_learner(options: Options, dataset: Dataset, task: Task) -> TorchLearner:
    device, action_dim = torch.device("cpu"), dataset.train.actions.shape[1]
    action_range = ActionRange.between(-np.ones(action_dim), np.ones(action_dim), device)
    shape, seeds = dataset.train.observation_shape(1), range(options.seed, options.seed + options.num_seeds)
    agents = [SacFlow(options.agent, shape[0], action_range, seed=seed, device=device) for seed in seeds]
    phases = [Phase("offline", 0, options.offline_steps)]
    more = {"batch_size": options.agent.batch_size, "device": device, "record": False}
    return TorchLearner(agents, seeds, phases, dataset, Sampler(), **more)


class TestNaive(LearnerBattery):
    """The battery."""

    make_learner = staticmethod(make_learner)
    kind = "naive"
    bandit: ClassVar = {
        "offline_steps": 200,
        "agent": {
            **{"batch_size": 64, "q_hidden": 32, "policy_lr": 3e-3, "policy_delay": 1},
            **{"denoising_steps": 2, "alpha": 0.01, "autotune": False},
        },
    }
    falls: ClassVar = {"critic/critic_loss": 0.5}

    @classmethod
    def options(cls, agent=None, **run) -> Options:
        config = make_config(cls.kind, **{"policy_delay": 2} | (agent or {}))
        return Options(**{"env_name": "push", "offline_steps": 5} | run, agent=config)


class TestFlowG(TestNaive):
    """The battery."""

    kind = "flow_g"


class TestFlowT(TestNaive):
    """The battery."""

    kind = "flow_t"
