"""Features of times against hand-computed sines and cosines."""

import math

import pytest
import torch

from offlow_core.torch.time_features import time_features

SINES = [[0.0, 0.0], [math.sin(0.5), math.sin(5e-5)]]
COSINES = [[1.0, 1.0], [math.cos(0.5), math.cos(5e-5)]]


@pytest.mark.parametrize("cosines_first", [False, True])
def test_frequencies_run_from_one_to_a_ten_thousandth(cosines_first):
    found = time_features(torch.tensor([0.0, 0.5]), 4, cosines_first=cosines_first)
    halves = (COSINES, SINES) if cosines_first else (SINES, COSINES)
    torch.testing.assert_close(found, torch.cat([torch.tensor(half) for half in halves], 1))


def test_any_shape_gets_a_last_axis():
    times = torch.rand(3, 2, 1)
    torch.testing.assert_close(time_features(times, 6)[1, 1, 0], time_features(times[1, 1, 0], 6))
