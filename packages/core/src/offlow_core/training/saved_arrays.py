"""A training state as named host arrays: what checkpoints hold, whatever the backend."""

from collections.abc import Mapping

import numpy as np

from offlow_core.errors import UserError

AGENT, STAGE = "agent/", "stage/"
"""Prefixes of what an agent consists of, and of what the phase that it is in needs beside it."""


class StateMismatchError(UserError, ValueError):
    """A saved state is not of the agent that is to take it up."""


def part_of(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names start with the prefix, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def check_arrays(arrays: Mapping[str, np.ndarray], expected: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> None:
    """Raise StateMismatchError unless the arrays are exactly those of these names, types and shapes."""
    missing, unknown = sorted(set(expected) - set(arrays)), sorted(set(arrays) - set(expected))
    if missing or unknown:
        differences = f"missing {missing[:5]}, unknown {unknown[:5]}"
        raise StateMismatchError(f"the saved state does not fit this agent: {differences}")
    for name, (dtype, shape) in expected.items():
        found = arrays[name]
        if found.shape != shape or found.dtype != dtype:
            raise StateMismatchError(
                f"the saved state does not fit this agent: {name} is {found.dtype}{list(found.shape)}, "
                f"expected {dtype}{list(shape)}"
            )
