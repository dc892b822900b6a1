"""Chunks on the device and the replay ring against recordings of Q-chunking's own (OFFLOW_GOLDEN: another folder)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from offlow_core.data.transitions import Transitions
from offlow_core.testing.golden import GoldenCase, case_files, load_case
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device_data import to_device
from offlow_core.torch.replay import Replay

FILES = case_files(str(Path(__file__).parent), "sacflow_offline")
CASES = [case for case in map(load_case, FILES) if case.has("dataset")]
RINGS = [
    pytest.param(case, ring, id=f"{case.name}-{ring}")
    for case in CASES
    for ring in sorted({name.split("/")[0] for name in case.arrays if name.startswith("replay_")})
]
CPU = torch.device("cpu")
UNREAD = {"full_observations", "next_actions"}


def test_there_are_cases():
    assert CASES
    assert RINGS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_chunks(case: GoldenCase):
    data = to_device(Transitions.from_arrays(**case.group("dataset")), CPU)
    sampler = ChunkSampler(case.config["horizon_length"], case.config["discount"])
    chunks, expected = sampler.gather(data, torch.from_numpy(case.arrays["idxs"])), case.group("expected")
    assert set(chunks) == set(expected) - UNREAD
    np.testing.assert_allclose(chunks.pop("rewards"), expected.pop("rewards"), rtol=1e-6)
    for name, values in chunks.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize(("case", "name"), RINGS)
def test_the_ring(case: GoldenCase, name: str):
    added, expected = case.group("added"), case.group(name)
    inserts, capacity = len(added["rewards"]), int(expected["max_size"])
    data = to_device(Transitions.from_arrays(**case.group("dataset")), CPU)
    ring = Replay.over(data, capacity, inserts)
    for i in range(inserts):
        ring.insert({field: torch.tensor(values[i]) for field, values in added.items()})
        assert int(ring.size) == expected["size_after_each_add"][i]
        assert int(ring.pointer) == expected["pointer_after_each_add"][i]
    for field in ("rewards", "actions"):
        values, recorded = getattr(ring.transitions, field).numpy(), expected[f"final_{field}"]
        assert len(recorded) == capacity
        np.testing.assert_array_equal(values, recorded[: len(values)], err_msg=field)
        assert not recorded[len(values) :].any()
