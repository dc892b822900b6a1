"""Named random streams: one generator per purpose, none of which is PyTorch's global one."""

import torch

from offlow_core.random_streams import stream_seed


def make_generator(seed: int, name: str, device: torch.device, step: int = 0) -> torch.Generator:
    """A generator for one stream of a root seed, such as "init" or "noise"; `step` begins another part of it."""
    generator = torch.Generator(device)
    generator.manual_seed(stream_seed(seed, name, step))
    return generator
