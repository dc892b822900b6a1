"""Data that are too few for a sample are refused before anything is trained."""

import pytest
import torch

from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError
from offlow_core.errors import UserError
from offlow_core.option_checks import OptionError
from offlow_core.testing.toy_task import Push, make_dataset
from offlow_core.torch.device_data import to_device
from offlow_core.torch.enough_data import require_enough
from offlow_core.torch.online import OnlinePhase
from offlow_core.torch.replay import Replay
from offlow_core.training.learner import Phase

CPU = torch.device("cpu")


def phases(offline: int = 0, steps: int = 20, **online) -> list[Phase]:
    settings = {"make_environment": Push, "buffer_size": 100, **online}
    return [Phase("offline", 0, offline), OnlinePhase("online", offline, steps, **settings)]


def data(train: int, validation: int | None = None) -> Dataset:
    held_out = None if validation is None else make_dataset(validation).train
    return Dataset(make_dataset(train).train, held_out, {})


@pytest.mark.parametrize(
    ("dataset", "stages", "kind", "message"),
    [
        (data(3), phases(5), DatasetError, "the data to train on hold 3 transitions, but a sample takes 5 in a row"),
        (data(9, 3), phases(5), DatasetError, "the held-out data hold 3 transitions, but a sample takes 5 in a row"),
        (data(3), phases(first_update=1), OptionError, r"after environment step 1, would find 4 .*capacity 100.* 5 in"),
        (data(2), phases(buffer_size=5, first_update=9), OptionError, r"step 9, would find 4 .*capacity 5\)"),
    ],
)
def test_what_is_too_short_is_named_with_its_length_and_what_is_needed(dataset, stages, kind, message):
    with pytest.raises(kind, match=message) as refused:
        require_enough(dataset, stages, 5)
    assert isinstance(refused.value, UserError)


@pytest.mark.parametrize(
    ("dataset", "stages"),
    [
        (data(5, 5), phases(5)),
        (data(3, 3), phases(first_update=2)),
        (data(3, 3), phases(steps=3, first_update=9)),  # there is no update at all
        (data(2), phases(buffer_size=5, first_update=9, samples_last=True)),
    ],
)
def test_what_is_just_enough_is_accepted(dataset, stages):
    require_enough(dataset, stages, 5)


@pytest.mark.parametrize("samples_last", [False, True])
@pytest.mark.parametrize(("offline", "capacity", "first_update"), [(3, 100, 2), (2, 4, 6), (4, 4, 1)])
def test_a_ring_has_what_the_check_counts_on(offline, capacity, first_update, samples_last):
    """At the first update, after so many steps; one more is too much to ask for."""
    settings = {"buffer_size": capacity, "first_update": first_update, "samples_last": samples_last}
    dataset, stages = data(offline), phases(**settings)
    ring = Replay.over(
        to_device(dataset.train, CPU), stages[1].capacity(offline), stages[1].steps, samples_last=samples_last
    )
    step = {"observations": torch.zeros(2), "next_observations": torch.zeros(2), "actions": torch.zeros(1)}
    for _ in range(first_update):
        ring.insert(step | {name: torch.zeros(()) for name in ("rewards", "masks", "terminals")})
    require_enough(dataset, stages, int(ring.size))
    with pytest.raises(OptionError, match=f"would find {int(ring.size)} transitions"):
        require_enough(dataset, stages, int(ring.size) + 1)
