"""Batches on the device equal the numpy reference, and are drawn uniformly."""

import numpy as np
import pytest
import torch

from offlow_core.torch.device_data import Sampler, to_device

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("frame_stack", [1, 3])
def test_gather_equals_the_reference(transitions, frame_stack):
    indices = np.arange(len(transitions))[::-1].copy()
    found = Sampler(frame_stack).gather(to_device(transitions, CPU), torch.from_numpy(indices))
    expected = transitions.gather(indices, frame_stack)
    assert set(found) == set(expected) - {"terminals"}
    for name, values in found.items():
        assert values.numpy().dtype == expected[name].dtype, name
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_stacked_frames_by_hand(states):
    batch = Sampler(frame_stack=3).gather(to_device(states, CPU), torch.tensor([4, 6]))
    first, second, third = (torch.from_numpy(states.observations[row]) for row in (4, 5, 6))
    # Transition 4 is a trajectory of its own; 6 is the second of the last one, which starts at 5.
    assert batch["observations"][0].tolist() == torch.cat([first] * 3).tolist()
    assert batch["observations"][1].tolist() == torch.cat([second, second, third]).tolist()
    assert batch["next_observations"][1, :6].tolist() == torch.cat([second, third]).tolist()


def test_transitions_are_sampled_uniformly_with_replacement(states):
    data = to_device(states, CPU)
    batch = Sampler().sample(data, generator(), 11_000)
    place = {float(reward): index for index, reward in enumerate(states.rewards)}
    indices = np.array([place[reward] for reward in batch["rewards"].tolist()])
    counts = np.bincount(indices)
    assert len(counts) == len(states) == 11
    # Chi-squared with 10 degrees of freedom exceeds 29.6 once in a thousand.
    assert ((counts - 1000) ** 2 / 1000).sum() < 29.6
    for name, values in states.gather(indices).items():
        if name in batch:
            np.testing.assert_array_equal(batch[name], values)


def test_a_batch_depends_on_its_generator_alone(states):
    data = to_device(states, CPU)
    draws = [Sampler().sample(data, generator(seed), 8)["rewards"].tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    one = generator(1)
    assert [Sampler().sample(data, one, 8)["rewards"].tolist() for _ in range(2)] != [draws[0]] * 2
