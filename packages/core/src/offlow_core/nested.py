"""Nested mappings under dotted names, as options are written on a command line."""

from collections.abc import Iterator, Mapping
from typing import Any


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings under dotted names; lists count as leaves."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
