"""Named generators: same name, seed and step, same draws; anything else, others."""

import torch

from offlow_core.random_streams import stream_seed
from offlow_core.torch.streams import make_generator

CPU = torch.device("cpu")


def draws(seed: int, name: str, step: int = 0) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=make_generator(seed, name, CPU, step)).tolist())


def test_streams_differ_by_seed_name_and_step_and_are_found_again():
    made = {draws(seed, name, step) for seed in range(10) for name in ("init", "data", "noise") for step in range(3)}
    assert len(made) == 90
    assert draws(7, "noise", 5) == draws(7, "noise", 5)
    assert draws(7, "noise") == draws(7, "noise", 0)


def test_the_seed_is_the_streams():
    expected = torch.rand(4, generator=torch.Generator().manual_seed(stream_seed(7, "noise", 5)))
    assert draws(7, "noise", 5) == tuple(expected.tolist())


def test_pytorchs_global_generator_is_left_alone():
    before = torch.get_rng_state()
    draws(7, "init")
    assert torch.equal(torch.get_rng_state(), before)
