"""Records of arrays or numbers by name, compared in tests."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike


def assert_identical(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """The same names, types and shapes, and the same bytes."""
    assert found.keys() == expected.keys()
    for name, theirs in expected.items():
        mine = found[name]
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape), name
        assert mine.tobytes() == theirs.tobytes(), name


def assert_close(
    found: Mapping[str, ArrayLike], expected: Mapping[str, ArrayLike], *, rtol: float = 1e-4, atol: float = 2e-5
) -> None:
    """The same names and, up to rounding, the same values."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), np.asarray(value), rtol=rtol, atol=atol, err_msg=name)
