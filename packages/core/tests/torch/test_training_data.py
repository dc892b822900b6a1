"""Training on shards: whose transitions an update sees, however it is cut, resumed or recorded."""

import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from offlow_core.data.shards import ShardedDataset, Shards
from offlow_core.data.transitions import Transitions
from offlow_core.data.validation import DatasetError
from offlow_core.testing.comparisons import assert_identical
from offlow_core.testing.toy_task import Push
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.learner import TorchLearner
from offlow_core.torch.online import OnlinePhase
from offlow_core.torch.streams import make_generator
from offlow_core.training.learner import Phase

CPU = torch.device("cpu")
HORIZON, BATCH, INTERVAL = 3, 16, 4
LENGTHS = (9, 5, 12, 7)  # transitions of the shards; the file of the longest has a row for the end of an episode more
WAIT_S = 20.0


def make_shard(number: int) -> Transitions:
    """One trajectory; observations and actions tell the shard and the place in it."""
    n = LENGTHS[number]
    frames = 100 * number + np.arange(2 * (n + 1), dtype=np.float32).reshape(-1, 2)
    numbers = np.arange(n, dtype=np.float32)
    flags = {"masks": np.ones(n), "terminals": numbers == n - 1}
    return Transitions.from_arrays(frames[:-1], 0.01 * numbers[:, None], numbers, next_observations=frames[1:], **flags)


class Loader:
    """Counts what is read, and lets tests wait for it."""

    def __init__(self):
        self.asked: list[int] = []
        self.begun = {number: threading.Event() for number in range(len(LENGTHS))}
        self.damaged: set[int] = set()

    def __call__(self, number: int) -> Transitions:
        self.asked.append(number)
        self.begun[number].set()
        if number in self.damaged:
            raise DatasetError(f"{number}.npz: the field `actions` cannot be read")
        return make_shard(number)


def make_dataset(loader: Loader, count: int = len(LENGTHS)) -> ShardedDataset:
    names = tuple(f"{number}.npz" for number in range(count))
    return ShardedDataset(make_shard(0), None, {}, Shards(names, max(LENGTHS) + 1, INTERVAL, loader))


class Watcher:
    """Writes down the first observations of its batches and adds up all that it sees."""

    metric_names = ("toy/reward",)

    def __init__(self, device: torch.device = CPU):
        self.seen = torch.full((64, BATCH), -1.0, device=device)
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.count = torch.zeros(1, dtype=torch.int64, device=device)

    def prepare(self, updates: int) -> None:
        return None

    def draw_noise(self, generator: torch.Generator) -> Tensor:
        return torch.randn((), generator=generator, device=generator.device)

    def update(self, batch: dict[str, Tensor], noise: Tensor, variant: None) -> dict[str, Tensor]:
        assert batch["next_observations"].shape[::2] == (BATCH, 2)
        self.seen.index_copy_(0, self.count, batch["observations"][None, :, 0])
        self.count += 1
        self.total += sum(values.double().sum() for values in batch.values()) + noise
        return {"toy/reward": batch["rewards"].mean()}

    def losses(self, batch: dict[str, Tensor], noise: Tensor) -> dict[str, Tensor]:
        return {}

    def state(self) -> dict[str, Tensor]:
        return {"seen": self.seen, "total": self.total, "count": self.count}

    def policy(self):
        return lambda observations, noise_seeds: np.zeros((1, HORIZON, 1), np.float32)

    def shards(self) -> list[set[int]]:
        """The shards that each update's batch came from."""
        seen = self.seen[: int(self.count)].cpu().numpy()
        return [set((row // 100).astype(int).tolist()) for row in seen]


def make_learner(
    loader: Loader, steps: int = 24, seeds=(0,), count: int = len(LENGTHS), device: torch.device = CPU, **options
) -> TorchLearner:
    phases = [
        Phase("offline", 0, steps),
        OnlinePhase("online", steps, 6, make_environment=Push, buffer_size=10, first_update=2),
    ]
    return TorchLearner(
        [Watcher(device) for _ in seeds],
        seeds,
        phases,
        make_dataset(loader, count),
        options.pop("sampler", ChunkSampler(HORIZON, 0.9)),
        **{"batch_size": BATCH, "device": device, "record": False} | options,
    )


def watched(learner: TorchLearner, index: int = 0) -> Watcher:
    return learner._members[index].agent


def trained(learner: TorchLearner, *cuts: int, step: int = 0) -> TorchLearner:
    learner.enter(learner.phases[0])
    for steps in cuts:
        learner.advance(step, steps)
        step += steps
    return learner


EXPECTED = [{shard} for shard in [*[0] * 3, *[1] * 4, *[2] * 4, *[3] * 4, *[0] * 4, *[1] * 4, 2]]
"""Of updates 1 to 24: number 4 is the first on the second shard, and after the last shard comes the first again."""


@pytest.mark.parametrize("cuts", [(24,), (3, 21), (4, 4, 16), (1,) * 24, (2, 9, 13)])
def test_every_update_is_made_on_the_shard_whose_turn_it_is(cuts):
    learner = trained(make_learner(Loader(), seeds=(0, 5)), *cuts)
    assert watched(learner).shards() == watched(learner, 1).shards() == EXPECTED
    whole = trained(make_learner(Loader(), seeds=(0, 5)), 24)
    for index in (0, 1):
        assert_identical(learner.state_arrays(index), whole.state_arrays(index))


def test_batches_are_drawn_from_the_shard_alone_and_from_all_of_it():
    learner = make_learner(Loader(), batch_size=BATCH)
    trained(learner, 3)
    data, generator = learner._train, make_generator(0, "test", CPU)
    for update in (3, 4, 8, 12, 16, 20):  # a longer shard has been there before a shorter one, and the other way round
        shard = data._shards.at(update)
        learner.advance(update - 1, 1)
        starts = {float(start) for _ in range(40) for start in data.draw(generator)["observations"][:, 0]}
        assert starts == {100.0 * shard + 2 * k for k in range(LENGTHS[shard] - HORIZON + 1)}
        for name, values in vars(data.at(update)).items():
            assert len(values) == LENGTHS[shard] + (name == "observations"), name


@pytest.mark.parametrize("at", [0, 2, 3, 9, 11, 17])
def test_a_learner_that_goes_on_in_the_middle_of_a_shard_equals_one_that_was_never_stopped(at):
    whole, first, again = (make_learner(Loader()) for _ in range(3))
    trained(whole, 24)
    trained(first, at)
    again.load_state_arrays([first.state_arrays(0)])
    trained(again, 24 - at, step=at)
    assert watched(again).shards() == EXPECTED
    assert_identical(again.state_arrays(0), whole.state_arrays(0))


def test_the_next_shard_is_read_while_the_one_before_is_trained_on():
    loader = Loader()
    learner = trained(make_learner(loader), 1)
    assert loader.begun[1].wait(WAIT_S)
    learner.advance(1, 2)
    assert loader.asked == [1]  # the first one was there, the third has time
    learner.advance(3, 1)
    assert loader.begun[2].wait(WAIT_S)
    assert loader.asked == [1, 2]


def test_no_shard_is_read_that_nobody_needs():
    loader = Loader()
    learner = trained(make_learner(loader, steps=7), 7)
    learner.close()
    assert loader.asked == [1]
    alone = Loader()
    assert watched(trained(make_learner(alone, count=1), 24)).shards() == [{0}] * 24
    assert alone.asked == []


@pytest.mark.parametrize("steps", [0, 3, 4, 11])
def test_online_training_begins_with_the_shard_of_the_last_offline_update(steps):
    learner = trained(make_learner(Loader(), steps=steps), *([steps] if steps else []))
    shard = make_shard(learner._train._shards.at(steps))
    learner.enter(learner.phases[1])
    ring = learner._stages[0]._replay
    assert int(ring.size) == len(shard)
    assert len(ring.transitions) == min(max(10, len(shard) + 1), len(shard) + 7)
    np.testing.assert_array_equal(ring.transitions.observations[: len(shard) + 1], shard.observations)
    np.testing.assert_array_equal(ring.transitions.actions[: len(shard)], shard.actions)
    learner.close()


def test_online_training_that_goes_on_begins_with_the_same_shard():
    whole, again = make_learner(Loader(), steps=6), make_learner(Loader(), steps=6)
    trained(whole, 6)
    whole.enter(whole.phases[1])
    whole.advance(6, 3)
    again.load_state_arrays([whole.state_arrays(0)])
    again.enter(again.phases[1])
    for learner in (whole, again):
        learner.advance(9, 3)
        learner.close()
    assert_identical(again.state_arrays(0), whole.state_arrays(0))


def test_a_damaged_shard_stops_training_where_it_is_needed():
    loader = Loader()
    loader.damaged = {2}
    learner = trained(make_learner(loader), 5)
    assert loader.begun[2].wait(WAIT_S)
    learner.advance(5, 2)
    with pytest.raises(DatasetError, match=r"2\.npz: the field `actions` cannot be read"):
        learner.advance(7, 2)
    assert watched(learner).shards() == EXPECTED[:7]
    loader.damaged = set()
    learner.advance(7, 17)
    assert watched(learner).shards() == EXPECTED


def test_a_shard_without_a_single_chunk():
    learner = make_learner(Loader(), sampler=ChunkSampler(6, 0.9))
    with pytest.raises(DatasetError, match=r"1\.npz: holds 5 transitions, but a sample takes 6 in a row"):
        trained(learner, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recorded_updates_go_on_with_the_shard_of_the_moment():
    device = torch.device("cuda", torch.cuda.current_device())
    called, recorded = (trained(make_learner(Loader(), device=device, record=r), 24) for r in (False, True))
    assert watched(recorded).shards() == EXPECTED
    assert len(recorded._members[0]._program._graphs) == 1  # the one of the first shard
    assert_identical(recorded.state_arrays(0), called.state_arrays(0))
