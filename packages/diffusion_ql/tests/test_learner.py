"""Diffusion-QL and its flow variant through their learner."""

from typing import ClassVar

from offlow_core.testing.learner_battery import LearnerBattery
from offlow_diffusion_ql.config import DiffusionQlConfig, DiffusionQlOptions
from offlow_diffusion_ql.learner import make_learner


class TestDiffusion(LearnerBattery):
    """The battery."""

    make_learner = staticmethod(make_learner)
    family = "diffusion"
    bandit: ClassVar = {
        "offline_steps": 300,
        "agent": {"actor_hidden": 16, "critic_hidden": 16, "batch_size": 64, "lr": 3e-3, "critic_lr": 3e-3},
    }
    falls: ClassVar = {"critic/critic_loss": 0.5}

    @classmethod
    def options(cls, agent=None, **run) -> DiffusionQlOptions:
        tiny = {"actor_hidden": 8, "critic_hidden": 8, "batch_size": 8, "n_action_samples": 3, "step_start_ema": 1}
        config = DiffusionQlConfig(policy=cls.family, update_ema_every=2, **tiny | (agent or {}))
        return DiffusionQlOptions(**{"env_name": "push", "offline_steps": 5} | run, agent=config)


class TestFlow(TestDiffusion):
    """The battery."""

    family = "flow"
