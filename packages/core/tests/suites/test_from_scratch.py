"""What stands in a dataset's place where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from offlow_core.data.validation import DatasetError
from offlow_core.suites import resolve
from offlow_core.suites.fitted_environment import UnusableEnvironmentError
from offlow_core.suites.from_scratch import no_data
from offlow_core.testing.toy_task import Push, make_task
from offlow_core.training.session import describe


def test_it_has_the_shapes_of_the_environment_and_no_rows():
    task = resolve("Hopper-v4")
    dataset = no_data(task)
    train = dataset.train
    assert (len(train), train.observations.shape, train.actions.shape) == (0, (0, 11), (0, 3))
    assert train.trajectory_starts().shape == (0,)
    assert dataset.validation is None
    assert dataset.origin == {"source": "none", "files": [], "transitions": {"train": 0}}
    assert describe(task, dataset) == "Hopper-v4: from scratch, observations 11, actions 3"


def test_its_checksum_tells_shapes_apart():
    checksums = {no_data(resolve(name)).train.checksum() for name in ("Hopper-v4", "Hopper-v5", "Walker2d-v4")}
    assert len(checksums) == 2  # the Hoppers' are the same


def test_a_task_without_an_environment_is_named():
    with pytest.raises(DatasetError, match="push has no environment to train in from scratch"):
        no_data(replace(make_task(), make_environment=None))


def test_images_are_refused():
    class Camera(Push):
        observation_space = type(Push.observation_space)(0, 255, (4, 4, 3), np.uint8)

    with pytest.raises(UnusableEnvironmentError, match="needs observations that are state vectors, got 4x4x3"):
        no_data(make_task(Camera))
