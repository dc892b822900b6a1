"""Refuse data that would train silently wrong: wrong shapes, wrong types, values that are not finite."""

import numpy as np

from offlow_core.data.transitions import Transitions
from offlow_core.errors import UserError

_BLOCK_ROWS = 65_536  # finiteness is tested in blocks, so that a large array needs no second one of its size


class DatasetError(UserError, ValueError):
    """Data that cannot be used; the message names the file, the field, and the row where there is one."""


def require_finite(values: np.ndarray, field: str, source: str) -> None:
    """Refuse NaN and infinity in `values` [n, ...], naming the first such row."""
    if not np.issubdtype(values.dtype, np.floating):
        return
    for start in range(0, len(values), _BLOCK_ROWS):
        block = values[start : start + _BLOCK_ROWS]
        finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            raise DatasetError(
                f"{source}: `{field}` must hold finite numbers, but row {row} holds {values[row]}. "
                "Remove that episode, or get the file again."
            )


def require_shape(values: np.ndarray, expected: tuple[int, ...], field: str, source: str, reason: str = "") -> None:
    """Refuse an array of another shape; -1 in `expected` stands for any size."""
    fits = values.ndim == len(expected) and all(
        want in (-1, have) for want, have in zip(expected, values.shape, strict=True)
    )
    if not fits:
        wanted = str(tuple("any" if size == -1 else size for size in expected)).replace("'", "")
        raise DatasetError(f"{source}: `{field}` must have shape {wanted}{reason}, got {values.shape}.")


def validate(transitions: Transitions, source: str) -> None:
    """Check shapes, types, index ranges and finiteness; raise DatasetError that begins with `source`."""
    n = len(transitions)
    if n == 0:
        raise DatasetError(f"{source}: holds no transition; an episode needs at least two rows.")
    _validate_observations(transitions.observations, source)
    require_shape(transitions.actions, (n, -1), "actions", source)
    for field in ("actions", "rewards", "masks", "terminals"):
        values = getattr(transitions, field)
        if field != "actions":
            require_shape(values, (n,), field, source, " (one per transition)")
        if values.dtype != np.float32:
            raise DatasetError(f"{source}: `{field}` must be float32, got {values.dtype}; convert it.")
        require_finite(values, field, source)
    for field in ("rows", "next_rows"):
        _validate_rows(getattr(transitions, field), field, n, len(transitions.observations), source)


def _validate_observations(observations: np.ndarray, source: str) -> None:
    if observations.dtype == np.uint8:
        require_shape(observations, (-1, -1, -1, -1), "observations", source, " (images: row, height, width, channel)")
    elif observations.dtype != np.float32:
        raise DatasetError(
            f"{source}: `observations` must be float32 (states) or uint8 (images), got {observations.dtype}."
        )
    require_finite(observations, "observations", source)


def _validate_rows(rows: np.ndarray, field: str, n: int, stored: int, source: str) -> None:
    require_shape(rows, (n,), field, source, " (one per transition)")
    if not np.issubdtype(rows.dtype, np.integer):
        raise DatasetError(f"{source}: `{field}` must hold integers, got {rows.dtype}.")
    outside = np.flatnonzero((rows < 0) | (rows >= stored))
    if outside.size:
        k = int(outside[0])
        raise DatasetError(
            f"{source}: `{field}` must point to one of the {stored} stored observations, "
            f"but transition {k} points to {rows[k]}."
        )
