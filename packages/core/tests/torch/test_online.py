"""Online training on a toy agent: what is executed, what is learned from, and what a saved state holds."""

import numpy as np
import pytest
import torch
from torch import Tensor

from offlow_core.data.reward_rules import RewardMap
from offlow_core.testing.comparisons import assert_identical
from offlow_core.testing.toy_task import Push, make_dataset
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.learner import TorchLearner
from offlow_core.torch.online import OnlinePhase
from offlow_core.training.learner import Phase

CPU = torch.device("cpu")
HORIZON, BATCH = 3, 4


class Counter:
    """Counts its updates and sums what it sees; acts in chunks of 3, whose actions tell the moment of the decision."""

    metric_names = ("toy/reward",)

    def __init__(self):
        self.total, self.prepared, self.began = torch.zeros(()), [], 0
        self.decisions: list[tuple[np.ndarray, int]] = []

    def prepare(self, updates: int) -> None:
        self.prepared.append(updates)

    def draw_noise(self, generator: torch.Generator) -> Tensor:
        return torch.randn((), generator=generator)

    def update(self, batch: dict[str, Tensor], noise: Tensor, variant: None) -> dict[str, Tensor]:
        assert batch["actions"].shape == (BATCH, HORIZON, 1)
        self.total += batch["rewards"].sum() + noise
        return {"toy/reward": batch["rewards"].mean()}

    def losses(self, batch: dict[str, Tensor], noise: Tensor) -> dict[str, Tensor]:
        return {"toy/loss": batch["rewards"].mean()}

    def state(self) -> dict[str, Tensor]:
        return {"total": self.total}

    def policy(self):
        def act(observations: np.ndarray, noise_seeds: np.ndarray) -> np.ndarray:
            number = int(noise_seeds[0, 1])
            self.decisions.append((observations[0].copy(), number))
            return np.array([[[0.01 * number], [0.02 * number], [5.0]]], np.float32)

        return act

    def begin(self) -> None:
        self.began += 1


def make_learner(steps: int = 12, offline: int = 0, environment=Push, **options) -> TorchLearner:
    online = OnlinePhase(
        "online",
        offline,
        steps,
        make_environment=environment,
        buffer_size=1000,
        **{"begin": lambda agent: agent.begin(), **options},
    )
    phases = [Phase("offline", 0, offline), online]
    sampler = ChunkSampler(HORIZON, 0.9)
    return TorchLearner([Counter()], [0], phases, make_dataset(), sampler, batch_size=BATCH, device=CPU, record=False)


def ring_of(learner: TorchLearner) -> dict[str, np.ndarray]:
    """The online transitions, oldest first."""
    arrays = learner.state_arrays(0)
    return {name: arrays[f"stage/online/replay/{name}"] for name in ("actions", "rewards", "terminals", "masks")}


class Long(Push):
    """An episode of 5 steps that nothing ends before."""

    def step(self, action):
        observation, *_ = super().step(np.zeros(1))
        return observation, float(self.steps), False, self.steps == 5, {}


def test_chunks_are_executed_to_their_end_or_that_of_the_episode():
    learner = make_learner(steps=10, environment=Long)
    learner.enter(learner.phases[1])
    learner.advance(0, 10)
    ring = ring_of(learner)
    # Decisions at steps 1 and 4, and, as the fifth step ends the episode, at 6 and 9; actions stay within bounds.
    expected = [0.01, 0.02, 1.0, 0.04, 0.08, 0.06, 0.12, 1.0, 0.09, 0.18]
    np.testing.assert_allclose(ring["actions"][:, 0], expected, rtol=1e-6)
    assert ring["terminals"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert ring["masks"].tolist() == [1] * 10  # a time limit is no end


def test_rewards_go_through_the_map():
    learner = make_learner(steps=5, environment=Long, rewards=RewardMap(shift=1.0))
    learner.enter(learner.phases[1])
    learner.advance(0, 5)
    assert ring_of(learner)["rewards"].tolist() == [0, 1, 2, 3, 4]


def test_random_actions_come_first_and_updates_later():
    learner = make_learner(steps=8, environment=Long, random_steps=4, first_update=6, updates_per_step=2)
    learner.enter(learner.phases[1])
    learner.advance(0, 5)
    agent = learner._members[0].agent
    assert agent.decisions[0][1] == 5  # the fifth step is the first that is decided on
    assert agent.prepared == []
    assert "toy/reward" not in learner.metrics()[0]
    learner.advance(5, 3)
    assert agent.prepared == [0, 1, 2, 3, 4, 5]
    assert np.isfinite(learner.metrics()[0]["toy/reward"])
    actions = ring_of(learner)["actions"][:4, 0]
    assert len(set(actions)) == 4
    assert (np.abs(actions) <= 1).all()


def test_the_first_metrics_of_a_phase_are_those_of_its_first_update_whether_stopped_or_not():
    whole, again = (make_learner(offline=3, first_update=3) for _ in range(2))
    whole.enter(whole.phases[0])
    whole.advance(0, 3)
    assert "toy/reward" in whole.metrics()[0]
    again.load_state_arrays([whole.state_arrays(0)])
    for learner in (whole, again):
        learner.enter(learner.phases[1])
        learner.advance(3, 2)
        assert learner.metrics() == [{}]
        learner.advance(5, 1)
    assert again.metrics() == whole.metrics() != [{}]
    assert again.interval_means() == whole.interval_means()


def test_online_the_dataset_is_in_the_rings_alone():
    learner = make_learner(offline=2)
    learner.enter(learner.phases[0])
    learner.advance(0, 2)
    assert set(learner.validation_metrics(2)[0]) == {"validation/toy/loss"}
    learner.enter(learner.phases[1])
    assert all(len(values) == 0 for values in vars(learner._train.at(2)).values())
    assert len(learner._stages[0]._replay.transitions) == 22 + 12 + 1
    learner.advance(2, 12)
    assert learner.validation_metrics(14) == [{}]


def test_the_latest_episode_is_reported():
    learner = make_learner(steps=5, environment=Long)
    learner.enter(learner.phases[1])
    learner.advance(0, 4)
    assert not any(name.startswith("online/") for name in learner.metrics()[0])
    learner.advance(4, 1)
    metrics = learner.metrics()[0]
    assert (metrics["online/episode_return"], metrics["online/episode_length"]) == (15.0, 5.0)


@pytest.mark.parametrize("at", [3, 5, 6])
def test_a_state_saved_in_the_middle_of_a_chunk_or_at_an_end_continues(at):
    whole, first, second = (make_learner(offline=2) for _ in range(3))
    for learner in (whole, first):
        learner.enter(learner.phases[0])
        learner.advance(0, 2)
        learner.enter(learner.phases[1])
    whole.advance(2, 12)
    first.advance(2, at)
    second.load_state_arrays([first.state_arrays(0)])
    assert_identical(second.state_arrays(0), first.state_arrays(0))  # before anything is entered
    second.enter(second.phases[1])
    assert second._members[0].agent.began == 1
    assert_identical(second.state_arrays(0), first.state_arrays(0))
    second.advance(2 + at, 12 - at)
    assert_identical(second.state_arrays(0), whole.state_arrays(0))
    for learner in (whole, first, second):
        learner.close()
