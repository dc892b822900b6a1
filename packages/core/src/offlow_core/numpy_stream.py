"""Some environments draw from numpy's global generator; this lends them one of their own."""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
from numpy.random import get_bit_generator, set_bit_generator  # ty: ignore[missing-module-member] (not in its stubs)


@contextmanager
def as_global_generator(generator: np.random.MT19937) -> Generator[None]:
    """Put `generator` in the place of numpy's global bit generator for a while."""
    # Exchanging the bit generator costs half a microsecond, copying its state in and out a hundred.
    outer = get_bit_generator()
    set_bit_generator(generator)
    try:
        yield
    finally:
        set_bit_generator(outer)
