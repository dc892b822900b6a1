"""What every agent must do, for the three of this package."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from offlow_core.data.action_variance import estimate_action_variance
from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError
from offlow_core.option_checks import OptionError
from offlow_core.testing.comparisons import assert_identical
from offlow_core.testing.learner_battery import LearnerBattery, go_through, moments
from offlow_core.testing.toy_task import make_dataset, make_task
from offlow_core.training.options import RunOptions
from offlow_deflow.agents import make_learner as make_complete_learner
from offlow_deflow.config import (
    DeFlowConfig,
    DeFlowOptions,
    DeFlowVfConfig,
    DeFlowVfOptions,
    FloqConfig,
    FloqOptions,
)
from offlow_deflow.from_data import from_data, with_reward_range

SMALL = {"actor_hidden_dims": (16, 16), "value_hidden_dims": (16, 16), "batch_size": 8}
RETURNS = {"block_width": 16, "block_depth": 1, "noise_samples": 2, "critic_flow_steps": 2}
LEARNS = {"lr": 3e-3, "batch_size": 64, "actor_hidden_dims": (32, 32), "value_hidden_dims": (32, 32)}
RUN = {"offline_steps": 3, "online_steps": 3, "eval_interval": 0}


def make_learner(options, dataset, task):
    """As a training command does: what the data decide is filled in first."""
    return make_complete_learner(from_data(options, dataset, task), dataset, task)


class TestDeFlow(LearnerBattery):
    """DeFlow; a generous trust region reaches the bandit's best action."""

    make_learner = staticmethod(make_learner)
    unvalidated = ("actor/mse",)
    bandit: ClassVar = {"agent": {**LEARNS, "target_divergence": 0.1}, "offline_steps": 600, "online_steps": 0}
    falls: ClassVar = {"actor/bc_flow_loss": 0.8, "critic/critic_loss": 0.5}

    @classmethod
    def options(cls, agent=None, **run) -> RunOptions:
        config = DeFlowConfig(**SMALL | {"flow_steps": 2} | (agent or {}))
        return DeFlowOptions(**RUN | run, agent=config)


class TestDeFlowVf(LearnerBattery):
    """DeFlow-VF."""

    make_learner = staticmethod(make_learner)
    unvalidated = ("actor/mse",)
    bandit: ClassVar = {
        "agent": {**LEARNS, "target_divergence": 0.1, "discount": 0.5, "block_width": 32},
        "offline_steps": 600,
        "online_steps": 0,
    }
    falls: ClassVar = {"actor/bc_flow_loss": 0.8}

    @classmethod
    def options(cls, agent=None, **run) -> RunOptions:
        config = DeFlowVfConfig(**SMALL | RETURNS | {"flow_steps": 2} | (agent or {}))
        return DeFlowVfOptions(**RUN | run, agent=config)


@pytest.mark.slow
class TestFloq(LearnerBattery):
    """floq, whose actor is Flow Q-learning's and whose critic DeFlow-VF's."""

    make_learner = staticmethod(make_learner)
    unvalidated = ("actor/mse",)
    bandit: ClassVar = {
        "agent": {**LEARNS, "alpha": 0.3, "discount": 0.5, "block_width": 32},
        "offline_steps": 600,
        "online_steps": 0,
    }
    falls: ClassVar = {"actor/bc_flow_loss": 0.8}

    @classmethod
    def options(cls, agent=None, **run) -> RunOptions:
        config = FloqConfig(**SMALL | RETURNS | {"actor_flow_steps": 2} | (agent or {}))
        return FloqOptions(**RUN | run, agent=config)


def test_deflow_trains_on_images():
    options = TestDeFlow.options(
        {"encoder": "impala_debug"}, online_steps=0, offline_steps=2, frame_stack=2, p_aug=1.0, env_name="push"
    )
    learner = go_through(make_learner(options, make_dataset(shape=(8, 8, 3)), make_task()))
    assert all(np.isfinite(value) for value in learner.metrics()[0].values())
    images = np.zeros((3, 8, 8, 6), np.uint8)
    assert learner.policy(0)(images, np.arange(6, dtype=np.uint32).reshape(3, 2)).shape == (3, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DeFlowVfOptions(), "deflowvf needs state vectors"),
        (FloqOptions(), "--agent deflow has one"),
        (DeFlowOptions(), "set --agent.encoder, for example to impala_small"),
    ],
    ids=["deflowvf", "floq", "deflow"],
)
def test_images_that_an_agent_cannot_see(options, message):
    with pytest.raises(OptionError, match=message):
        make_learner(options, make_dataset(shape=(8, 8, 3)), make_task())


def test_a_divergence_from_data_is_the_share_of_the_task():
    dataset = make_dataset()
    train = dataset.train
    variance = estimate_action_variance(train.observations[train.rows], train.actions, train.terminals > 0).value
    found = from_data(TestDeFlow.options({"target_divergence": "auto"}), dataset, make_task())
    assert found.agent.target_divergence == 0.1 * variance  # of a task that nothing is known of
    given = TestDeFlow.options({"target_divergence": 0.2})
    assert from_data(given, dataset, make_task()) == given


def test_a_divergence_from_images_is_refused():
    options = TestDeFlow.options({"encoder": "impala_debug", "target_divergence": "auto"}, online_steps=0)
    with pytest.raises(DatasetError, match="give a number for it"):
        make_learner(options, make_dataset(shape=(8, 8, 3)), make_task())


def test_the_range_of_rewards_includes_zero_unless_it_is_given():
    dataset = make_dataset()
    found = with_reward_range(FloqConfig(), dataset)
    assert (found.r_min, found.r_max) == (dataset.train.rewards.min(), dataset.train.rewards.max())
    above = Dataset(replace(dataset.train, rewards=dataset.train.rewards**2 + 1), None, {})
    assert with_reward_range(FloqConfig(), above).r_min == 0
    below = Dataset(replace(dataset.train, rewards=-above.train.rewards), None, {})
    assert with_reward_range(FloqConfig(), below).r_max == 0
    zero = Dataset(replace(dataset.train, rewards=0 * dataset.train.rewards), None, {})
    with pytest.raises(DatasetError, match="a flow critic needs a range of returns"):
        with_reward_range(FloqConfig(reward_offset=0.0), zero)
    given = with_reward_range(FloqConfig(r_min=-3.0, r_max=-1.0), dataset)
    assert (given.r_min, given.r_max) == (-3.0, -1.0)


def test_training_explores_with_one_sample_whatever_is_evaluated():
    learner = TestDeFlow.learn(agent={"action_selection": "max_q", "num_samples": 3})
    plain = TestDeFlow.learn()
    for trained in (learner, plain):
        go_through(trained)
    assert_identical(learner.state_arrays(0), plain.state_arrays(0))
    observations, noise_seeds = moments(20)
    assert (learner.policy(0)(observations, noise_seeds) != plain.policy(0)(observations, noise_seeds)).any()
