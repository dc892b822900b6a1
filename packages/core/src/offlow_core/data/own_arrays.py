"""Own data: arrays under documented names, in memory or in a file, and the transitions that they hold."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from offlow_core.data.d4rl_rows import qlearning_rows
from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.npz_file import NpzFile
from offlow_core.data.transitions import Transitions, clip_actions, leaves_unit
from offlow_core.data.validation import DatasetError, require_finite, require_shape, validate

REQUIRED = ("observations", "actions", "rewards", "terminals")
FIELDS = (*REQUIRED, "timeouts", "next_observations")
_READERS = {".npz": NpzFile, ".hdf5": Hdf5File, ".h5": Hdf5File}


def transitions_from_arrays(arrays: Mapping[str, np.ndarray], source: str) -> Transitions:
    """The transitions in these arrays, one row per step and episodes one after another.

    * `observations` [n, d] floating point, or uint8 images [n, height, width, channels]
    * `actions` [n, a] in [-1, 1]
    * `rewards` [n]
    * `terminals` [n]: true where the task ended, so that nothing of value follows
    * `timeouts` [n], optional: true where an episode was cut off, without having ended
    * `next_observations` like `observations`, optional

    Columns may also be [n, 1].

    With `next_observations` every row is a transition. Without, each row leads to the next one, by D4RL's rule: rows
    that were cut off and the last row have no successor and are dropped; that of a terminal row is the next row, which
    is masked. A row that is terminal and cut off counts as terminal. Trajectories end where a flag says so, and where
    the next row does not start at this one's successor.

    Floating-point numbers become float32, and actions are clipped to +-(1 - 1e-5); arrays that need no change are not
    copied. Further names are refused unless they hold a slash, like `infos/qpos`. Raises DatasetError, which begins
    with `source` and names the field and the row.
    """
    require_known_fields(arrays, source)
    n = len(np.atleast_1d(arrays["observations"]))
    if n == 0:
        raise DatasetError(f"{source}: `observations` must have at least one row, got none.")
    observations = _observations(arrays, "observations", n, source)
    steps = (_actions(arrays, n, source), _rewards(arrays, n, source), _flags(arrays, "terminals", n, source))
    timeouts = _flags(arrays, "timeouts", n, source) if "timeouts" in arrays else np.zeros(n, bool)
    if "next_observations" in arrays:
        successors = _observations(arrays, "next_observations", n, source)
        require_shape(successors, observations.shape, "next_observations", source, " (that of `observations`)")
        transitions = _from_pairs(observations, *steps, timeouts, successors)
    else:
        transitions = _from_consecutive_rows(observations, *steps, timeouts)
    validate(transitions, source)
    return transitions


def read_own_file(path: Path) -> Transitions:
    """The transitions in an .npz, .hdf5 or .h5 file with the arrays of `transitions_from_arrays`."""
    if path.suffix not in _READERS:
        raise DatasetError(f"{path}: own data must be in a file called {', '.join(_READERS)}, got {path.suffix!r}.")
    with _READERS[path.suffix](path) as file:
        require_known_fields(file.fields, str(path))
        arrays = {field: file.read(field) for field in FIELDS if field in file.fields}
    return transitions_from_arrays(arrays, str(path))


def require_known_fields(fields: Collection[str], source: str) -> None:
    """Refuse a missing field, and one that could be a field misspelled: it would be overlooked."""
    have = ", ".join(sorted(fields)) or "nothing"
    for field in REQUIRED:
        if field not in fields:
            raise DatasetError(f"{source}: the field `{field}` is missing; expected {_expected()}; got {have}.")
    for field in sorted(fields):
        if field not in FIELDS and "/" not in field:
            raise DatasetError(
                f"{source}: there is no field `{field}`; expected {_expected()}. Rename it, or call what is not for "
                f"training `infos/{field}`."
            )


def finite_float32(values: np.ndarray, field: str, source: str) -> np.ndarray:
    """Numbers [n, ...] as float32; DatasetError where one is not finite, or too large for that."""
    require_finite(values, field, source)
    with np.errstate(over="ignore"):
        cast = values.astype(np.float32, copy=False)
    overflow = np.flatnonzero(~np.isfinite(cast).all(axis=tuple(range(1, cast.ndim))))
    if overflow.size:
        row = int(overflow[0])
        raise DatasetError(f"{source}: `{field}` must fit into float32, but row {row} holds {values[row]}.")
    return cast


def _expected() -> str:
    return f"{', '.join(REQUIRED)} and, optionally, timeouts, next_observations"


def _from_pairs(
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    terminals: np.ndarray,
    timeouts: np.ndarray,
    successors: np.ndarray,
) -> Transitions:
    """Every row is a transition to its own successor."""
    ends = np.ones(len(observations), bool)
    jumps = successors[:-1] != observations[1:]
    ends[:-1] = terminals[:-1] | timeouts[:-1] | jumps.any(axis=tuple(range(1, jumps.ndim)))
    return Transitions.from_arrays(observations, actions, rewards, ~terminals, ends, successors)


def _from_consecutive_rows(
    observations: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminals: np.ndarray, timeouts: np.ndarray
) -> Transitions:
    """Each row is a transition to the next one, except for cut-off rows and the last one."""
    cut_off = timeouts & ~terminals
    rows = qlearning_rows(terminals, cut_off)
    next_rows = rows + np.int32(1)
    ends = terminals[rows] | cut_off[next_rows]
    ends[-1:] = True
    masks = (~terminals[rows]).astype(np.float32)
    return Transitions(observations, rows, next_rows, actions[rows], rewards[rows], masks, ends.astype(np.float32))


def _observations(arrays: Mapping[str, np.ndarray], field: str, n: int, source: str) -> np.ndarray:
    values = np.asarray(arrays[field])
    if values.dtype == np.uint8:
        require_shape(values, (n, -1, -1, -1), field, source, " (images: row, height, width, channel)")
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise DatasetError(
            f"{source}: `{field}` must hold floating-point numbers (states) or uint8 (images), got {values.dtype}; "
            "convert them, for states with .astype(np.float32)."
        )
    require_shape(values, (n, -1), field, source, " (one state vector per row)")
    return finite_float32(values, field, source)


def _actions(arrays: Mapping[str, np.ndarray], n: int, source: str) -> np.ndarray:
    values = np.asarray(arrays["actions"])
    if not np.issubdtype(values.dtype, np.floating):
        raise DatasetError(
            f"{source}: `actions` must hold floating-point numbers, got {values.dtype}; only continuous actions can be "
            "trained on."
        )
    require_shape(values, (n, -1), "actions", source, " (one row per observation)")
    values = finite_float32(values, "actions", source)
    outside = np.flatnonzero(leaves_unit(values))
    if outside.size:
        row = int(outside[0])
        raise DatasetError(
            f"{source}: `actions` must lie in [-1, 1], but row {row} holds {values[row]}. Scale them by the bounds "
            "of the environment's action space: 2 * (actions - low) / (high - low) - 1."
        )
    return clip_actions(values)


def _rewards(arrays: Mapping[str, np.ndarray], n: int, source: str) -> np.ndarray:
    values = _column(arrays, "rewards", n, source)
    if values.dtype.kind not in "biuf":
        raise DatasetError(f"{source}: `rewards` must hold numbers, got {values.dtype}.")
    return finite_float32(values, "rewards", source)


def _flags(arrays: Mapping[str, np.ndarray], field: str, n: int, source: str) -> np.ndarray:
    values = _column(arrays, field, n, source)
    if values.dtype.kind not in "biuf":
        raise DatasetError(f"{source}: `{field}` must hold true and false (or 1 and 0), got {values.dtype}.")
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if wrong.size:
        row = int(wrong[0])
        raise DatasetError(
            f"{source}: `{field}` must hold true and false (or 1 and 0), but row {row} holds {values[row]}."
        )
    return values.astype(bool)


def _column(arrays: Mapping[str, np.ndarray], field: str, n: int, source: str) -> np.ndarray:
    values = np.asarray(arrays[field])
    values = values.reshape(n) if values.shape == (n, 1) else values
    require_shape(values, (n,), field, source, " (one per observation)")
    return values
