"""Named random streams: what is drawn for one purpose never moves what is drawn for another."""

import zlib

import numpy as np


def stream_number(name: str) -> int:
    """A stream's name, such as "init" or "noise/offline", as 32 bits."""
    return zlib.crc32(name.encode())


def stream_seed(seed: int, name: str, *counters: int) -> int:
    """32 bits to seed a generator with: those of a root seed's stream, at a step or an episode of it."""
    return int(np.random.SeedSequence([seed, stream_number(name), *counters]).generate_state(1)[0])
