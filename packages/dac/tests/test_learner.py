"""What every agent must do, for DAC with and without guidance."""

from typing import ClassVar

from offlow_core.testing.learner_battery import LearnerBattery, assert_imitates, go_through
from offlow_core.testing.toy_task import make_bandit
from offlow_core.training.options import RunOptions
from offlow_dac.agents import make_learner
from offlow_dac.config import DacConfig
from offlow_dac.options import DacOptions, DbcOptions

SMALL = {"hidden_dims": (16, 16), "batch_size": 8, "T": 3, "num_qs": 2, "num_q_samples": 2, "num_action_samples": 2}
LEARNS = {"hidden_dims": (32, 32), "batch_size": 64, "actor_lr": 3e-3, "critic_lr": 3e-3}
RUN = {"offline_steps": 3, "online_steps": 3, "eval_interval": 0, "num_seeds": 1, "reward_tune": "no"}


class TestDac(LearnerBattery):
    """DAC, with dual ascent and passes over the data."""

    make_learner = staticmethod(make_learner)
    bandit: ClassVar = {"agent": {**LEARNS, "num_action_samples": 10}, "offline_steps": 500, "online_steps": 0}
    falls: ClassVar = {"critic/critic_loss": 0.5}

    @classmethod
    def options(cls, agent=None, **run) -> RunOptions:
        return DacOptions(**RUN | run, agent=DacConfig(**SMALL | {"eta_lr": 0.01} | (agent or {})))


class TestCloning(LearnerBattery):
    """Diffusion behaviour cloning, with distinct transitions in a batch; its candidates are selected by Q."""

    make_learner = staticmethod(make_learner)
    bandit: ClassVar = {"agent": {**LEARNS, "num_action_samples": 10}, "offline_steps": 500, "online_steps": 0}

    @classmethod
    def options(cls, agent=None, **run) -> RunOptions:
        config = DacConfig(**SMALL | {"use_guidance_loss": False} | (agent or {}))
        return DbcOptions(**RUN | {"rand_batch": True} | run, agent=config)

    def test_a_single_sample_imitates(self):
        learner = self.learn(make_bandit(), **self.bandit | {"agent": {**LEARNS, "num_action_samples": 1}})
        go_through(learner)
        assert_imitates(learner.policy(0))
