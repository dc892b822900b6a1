"""The agents through the learner of the core. Its battery acts one action at a time, so these have no chunks."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from chunk_agents import AGENTS, make_config

from offlow_core.data.transitions import Dataset
from offlow_core.suites.task import Task
from offlow_core.testing.learner_battery import LearnerBattery
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase
from offlow_core.training.options import RunOptions
from offlow_sacflow.chunk.config import AcfqlConfig, ChunkConfig


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Of a run on a dataset, which is enough to drive the agent."""

    agent: ChunkConfig = field(default_factory=AcfqlConfig)


def make_learner(options: Options, dataset: Dataset, task: Task) -> TorchLearner:
    config, device = options.agent, torch.device("cpu")
    sizes = dataset.train.observation_shape()[0], dataset.train.actions.shape[1]
    seeds = range(options.seed, options.seed + options.num_seeds)
    agents = [AGENTS[config.agent_name](config, *sizes, seed=seed, device=device) for seed in seeds]
    phases = [Phase("offline", 0, options.offline_steps)]
    sampler = ChunkSampler(config.horizon_length, config.discount)
    more = {"batch_size": config.batch_size, "device": device, "record": False}
    return TorchLearner(agents, seeds, phases, dataset, sampler, **more)


class TestAcfql(LearnerBattery):
    """The battery."""

    make_learner = staticmethod(make_learner)
    kind = "acfql"
    bandit: ClassVar = {
        "offline_steps": 200,
        "agent": {"horizon_length": 1, "batch_size": 64, "lr": 3e-3, "alpha": 0.1, "value_hidden_dims": (16, 16)},
    }
    falls: ClassVar = {"critic/critic_loss": 0.5}

    @classmethod
    def options(cls, agent=None, **run) -> Options:
        config = make_config(cls.kind, **{"action_chunking": False} | (agent or {}))
        return Options(**{"env_name": "push", "offline_steps": 5} | run, agent=config)


class TestNaive(TestAcfql):
    """The battery."""

    kind = "chunk_naive"


class TestFlowT(TestAcfql):
    """The battery."""

    kind = "chunk_flow_t"
    bandit: ClassVar = {**TestAcfql.bandit, "agent": {**TestAcfql.bandit["agent"], "alpha_lr": 1e-2}}


class TestFlowG(TestFlowT):
    """The battery."""

    kind = "chunk_flow_g"


class TestBestOfN(TestAcfql):
    """The battery."""

    @classmethod
    def options(cls, agent=None, **run) -> Options:
        return super().options({"actor_type": "best-of-n", **(agent or {})}, **run)
