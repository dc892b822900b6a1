"""Some environments draw from numpy's global generator; this lends them one of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def as_global_generator(generator: np.random.MT19937) -> Iterator[None]:
    """Put `generator` in the place of numpy's global bit generator for a while."""
    # Exchanging the bit generator costs half a microsecond, copying its state in and out a hundred.
    outer = np.random.get_bit_generator()
    np.random.set_bit_generator(generator)
    try:
        yield
    finally:
        np.random.set_bit_generator(outer)
