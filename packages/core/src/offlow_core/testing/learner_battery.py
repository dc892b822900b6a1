"""What every agent must do, driven through the verbs of its learner on a task in memory.

A package subclasses the battery once per agent:

    class TestLearner(LearnerBattery):
        make_learner = staticmethod(make_learner)

        def options(self, agent=None, **run): ...
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

from offlow_core.data.transitions import Dataset
from offlow_core.evaluation import Policy
from offlow_core.testing.comparisons import assert_close, assert_identical
from offlow_core.testing.toy_task import BEST_ACTION, make_bandit, make_dataset, make_task
from offlow_core.training.learner import Learner
from offlow_core.training.options import RunOptions


class BanditLearner(NamedTuple):
    """A learner with the metrics of the first and of the last update of its phases."""

    learner: Learner
    first: dict[str, float]
    last: dict[str, float]


class LearnerBattery:
    """The battery; see the module."""

    make_learner: ClassVar[Any]
    """(options, dataset, task) -> learner."""
    unvalidated: ClassVar[Sequence[str]] = ()
    """Metrics of training that have no held-out counterpart, beside `grad/...`."""
    bandit: ClassVar[Mapping[str, Any]]
    """Arguments of `options` with which the agent learns a bandit in some hundred updates."""
    falls: ClassVar[Mapping[str, float]] = {}
    """Losses that fall while it does, to this share of the first at most."""

    @classmethod
    def options(cls, agent: Mapping[str, Any] | None = None, **run: Any) -> RunOptions:
        """Options of a run of at least 3 updates per phase of an agent with tiny networks, changed as told."""
        raise NotImplementedError

    @classmethod
    def learn(cls, dataset: Dataset | None = None, agent: Mapping[str, Any] | None = None, **run: Any) -> Learner:
        """A new learner for such options."""
        return cls.make_learner(cls.options(agent, **run), dataset or make_dataset(), make_task())

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls) -> Learner:
        """A learner that has gone through its phases."""
        return go_through(cls.learn())

    def test_a_block_of_updates_equals_single_updates(self, trained):
        one_by_one = self.learn()
        for phase in phases_of(one_by_one):
            one_by_one.enter(phase)
            for step in range(phase.first_step, phase.last_step):
                one_by_one.advance(step, 1)
            one_by_one.leave(phase)
        assert_identical(one_by_one.state_arrays(0), trained.state_arrays(0))
        assert one_by_one.metrics() == trained.metrics()
        assert all(np.isfinite(value) for value in trained.metrics()[0].values())

    def test_a_state_saved_in_any_phase_continues(self, trained):
        learner = self.learn()
        for phase in phases_of(learner):
            learner.enter(phase)
            learner.advance(phase.first_step, 1)
            saved, learner = learner.state_arrays(0), self.learn()
            learner.load_state_arrays([saved])
            assert_identical(learner.state_arrays(0), saved)
            learner.enter(phase)
            learner.advance(phase.first_step + 1, phase.steps - 1)
            learner.leave(phase)
        assert_identical(learner.state_arrays(0), trained.state_arrays(0))
        assert learner.metrics() == trained.metrics()

    def test_a_seed_beside_another_equals_a_run_of_its_own(self):
        both, alone = go_through(self.learn(seed=0, num_seeds=2)), go_through(self.learn(seed=1))
        assert_close(both.state_arrays(1), alone.state_arrays(0))
        assert_close(both.metrics()[1], alone.metrics()[0], rtol=1e-3, atol=1e-4)
        assert both.metrics()[0] != both.metrics()[1]

    def test_actions_are_valid_and_each_has_noise_of_its_own(self, trained):
        policy, (observations, noise_seeds) = trained.policy(0), moments(50)
        actions = policy(observations, noise_seeds)
        assert isinstance(actions, np.ndarray)
        assert actions.shape == (50, 1)
        assert (np.abs(actions) <= 1).all()
        for row in (0, 49):
            alone = policy(observations[row : row + 1], noise_seeds[row : row + 1])
            np.testing.assert_allclose(alone, actions[row : row + 1], rtol=1e-4, atol=1e-5)
        assert (policy(observations, noise_seeds[::-1].copy()) != actions).any()
        np.testing.assert_array_equal(policy(observations, noise_seeds), actions)

    def test_held_out_losses_have_the_names_of_the_training_losses(self):
        learner = self.learn()
        for phase in phases_of(learner):
            learner.enter(phase)
            learner.advance(phase.first_step, phase.steps)
            if phase.name != "online":
                (metrics,), (held_out,) = learner.metrics(), learner.validation_metrics(phase.last_step)
                names = {name for name in metrics if not name.startswith("grad/")} - set(self.unvalidated)
                assert set(held_out) == {f"validation/{name}" for name in names}
                assert all(np.isfinite(value) for value in held_out.values())
            learner.leave(phase)

    @pytest.fixture(scope="class")
    @classmethod
    def bandit_learner(cls) -> BanditLearner:
        """A learner that has learned the bandit."""
        learner, first, last = cls.learn(make_bandit(), **cls.bandit), {}, {}
        for phase in phases_of(learner):
            learner.enter(phase)
            learner.advance(phase.first_step, 1)
            first |= learner.metrics()[0]
            learner.advance(phase.first_step + 1, phase.steps - 1)
            last |= learner.metrics()[0]
            learner.leave(phase)
        return BanditLearner(learner, first, last)

    def test_it_learns_a_bandit(self, bandit_learner):
        for name, share in self.falls.items():
            assert bandit_learner.last[name] < share * bandit_learner.first[name], name
        actions = bandit_learner.learner.policy(0)(*moments(400))
        data = make_bandit().train
        assert -np.abs(actions - BEST_ACTION).mean() > data.rewards.mean() + 0.1


def phases_of(learner: Learner) -> list:
    """The phases that have something to do."""
    return [phase for phase in learner.phases if phase.steps > 0]


def go_through(learner: Learner) -> Learner:
    """The learner, each of its phases having been done in one block."""
    for phase in phases_of(learner):
        if learner.enter(phase):
            learner.advance(phase.first_step, phase.steps)
            learner.leave(phase)
    return learner


def moments(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Observations of the toy task and the seeds of their noise."""
    random = np.random.default_rng(0)
    observations = random.normal(size=(n, 2)).astype(np.float32)
    return observations, random.integers(0, 2**32, (n, 2), np.uint32)


def assert_imitates(policy: Policy) -> None:
    """The policy's actions are spread like those of the bandit's data; one that knows nothing draws them wider."""
    actions, data = policy(*moments(400)), make_bandit().train.actions
    assert abs(actions.mean() - data.mean()) < 0.15
    assert abs(actions.std() - data.std()) < 0.15
