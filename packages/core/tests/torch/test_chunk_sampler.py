"""Chunks on the device equal the numpy reference, and start uniformly where one fits."""

import numpy as np
import pytest
import torch

from offlow_core.data.chunks import gather_chunks
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device_data import to_device
from offlow_core.torch.host_reads import no_host_reads

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("horizon", [1, 3, 11])
@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_gather_equals_the_reference(transitions, horizon, discount):
    starts = np.arange(len(transitions) - horizon + 1)[::-1].copy()
    found = ChunkSampler(horizon, discount).gather(to_device(transitions, CPU), torch.from_numpy(starts))
    expected = gather_chunks(transitions, starts, horizon, discount)
    assert set(found) == set(expected) - {"full_observations", "next_actions"}
    for name, values in found.items():
        assert values.numpy().dtype == expected[name].dtype, name
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def place_of(states, batch) -> np.ndarray:
    """First transitions of chunks, by their observations."""
    place = {tuple(states.observations[row]): index for index, row in enumerate(states.rows)}
    return np.array([place[tuple(observation)] for observation in batch["observations"].numpy()])


@pytest.mark.parametrize("size", [None, 7])
def test_starts_are_drawn_uniformly_from_where_a_chunk_fits(states, size):
    data = to_device(states, CPU)
    limit = None if size is None else torch.tensor(size)
    batch = ChunkSampler(4, 0.99).sample(data, generator(), 8000, limit)
    counts = np.bincount(place_of(states, batch))
    fits = (size or 11) - 4 + 1
    assert len(counts) == fits
    # Chi-squared with 7 degrees of freedom exceeds 24.3 once in a thousand; with 3 it does less often.
    assert ((counts - 8000 / fits) ** 2 / (8000 / fits)).sum() < 24.3


def test_a_batch_is_drawn_without_reading_on_the_host(states):
    data, size, draws = to_device(states, CPU), torch.tensor(9), generator()
    with no_host_reads():
        ChunkSampler(3, 0.99).sample(data, draws, 4)
        ChunkSampler(3, 0.99).sample(data, draws, 4, size)


def test_a_chunk_longer_than_the_data_is_refused(states):
    with pytest.raises(ValueError, match="a chunk of 12 transitions cannot be drawn from 11"):
        ChunkSampler(12, 0.99).sample(to_device(states, CPU), generator(), 1)
