"""OGBench files: one row per state, terminal rows included; L rows of an episode hold L - 1 transitions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offlow_core.data.npz_file import NpzFile
from offlow_core.data.transitions import Transitions, clip_actions
from offlow_core.data.validation import DatasetError, require_finite, require_shape

_ROW_EACH = " (one row per entry of `terminals`)"


@dataclass(frozen=True, eq=False)
class OGBenchFile:
    """The arrays of one file that training needs; `qpos` and `button_states` serve to relabel rewards."""

    path: Path
    observations: np.ndarray  # [r, d] float32 or [r, height, width, 3] uint8
    actions: np.ndarray  # [r, action] float32
    terminals: np.ndarray  # [r] bool, true on the last row of each episode
    qpos: np.ndarray  # [r, nq] float32
    button_states: np.ndarray | None  # [r, buttons] integers (scene and puzzle)


def read_ogbench_file(path: Path, *, visual: bool, buttons: bool) -> OGBenchFile:
    """Read and check the arrays of `path`; DatasetError names the file, the field and the row of a fault."""
    with NpzFile(path) as file:
        terminals = _read_terminals(file)
        r = len(terminals)
        observations = file.read("observations")
        if visual and observations.dtype != np.uint8:
            raise DatasetError(f"{path}: `observations` must be uint8 images, got {observations.dtype}.")
        if not visual:
            observations = _as_float32(observations, "observations", path)
        require_shape(observations, (r, -1, -1, -1) if visual else (r, -1), "observations", str(path))
        actions = _read_floats(file, "actions", r)
        qpos = _read_floats(file, "qpos", r)
        button_states = file.read("button_states") if buttons else None
    if button_states is not None:
        require_shape(button_states, (r, -1), "button_states", str(path))
    require_finite(observations, "observations", str(path))
    return OGBenchFile(path, observations, actions, terminals, qpos, button_states)


def outline_ogbench_file(path: Path, *, visual: bool, buttons: bool) -> OGBenchFile:
    """What the headers alone say of `path`: arrays of the right shapes, all zero, which take no memory."""
    with NpzFile(path) as file:
        terminals = file.outline("terminals")
        observations, actions, qpos = (file.outline(field) for field in ("observations", "actions", "qpos"))
        button_states = file.outline("button_states") if buttons else None
    require_shape(terminals, (-1,), "terminals", str(path))
    r = len(terminals)
    require_shape(observations, (r, -1, -1, -1) if visual else (r, -1), "observations", str(path))
    states = {"actions": actions, "qpos": qpos} | ({} if button_states is None else {"button_states": button_states})
    for field, values in states.items():
        require_shape(values, (r, -1), field, str(path), _ROW_EACH)
    return OGBenchFile(path, observations, actions, terminals, qpos, button_states)


def regular_rows(terminals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, successor row (both int32) and end-of-trajectory flag (float32) of each transition of a file.

    Rows are transitions except for the last one of each episode, whose action has no stored successor.
    """
    ends = np.asarray(terminals, bool)
    rows = np.flatnonzero(~ends).astype(np.int32)
    return rows, rows + np.int32(1), ends[rows + 1].astype(np.float32)


def compact_flags(terminals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`valids` and `terminals` (float32) of the layout that keeps all rows: the successor of row t is row t + 1.

    The last row of an episode is not valid, and its last two rows are terminal.
    """
    ends = np.asarray(terminals, bool)
    before_end = np.append(ends[1:], True)
    return (~ends).astype(np.float32), (ends | before_end).astype(np.float32)


def to_transitions(file: OGBenchFile, rewards: np.ndarray, masks: np.ndarray) -> Transitions:
    """Transitions that share the file's observations; `rewards` and `masks` are given per transition.

    Actions are clipped to +-(1 - 1e-5).
    """
    rows, next_rows, ends = regular_rows(file.terminals)
    return Transitions(file.observations, rows, next_rows, clip_actions(file.actions[rows]), rewards, masks, ends)


def _read_terminals(file: NpzFile) -> np.ndarray:
    terminals = file.read("terminals")
    require_shape(terminals, (-1,), "terminals", str(file.path))
    terminals = terminals.astype(bool)
    if len(terminals) < 2 or not terminals[-1]:
        raise DatasetError(
            f"{file.path}: `terminals` must be true on the last row ({len(terminals) - 1}), the end of an episode. "
            "The file is cut off: get it again, or drop the unfinished episode."
        )
    return terminals


def _read_floats(file: NpzFile, field: str, rows: int) -> np.ndarray:
    values = _as_float32(file.read(field), field, file.path)
    require_shape(values, (rows, -1), field, str(file.path), _ROW_EACH)
    require_finite(values, field, str(file.path))
    return values


def _as_float32(values: np.ndarray, field: str, path: Path) -> np.ndarray:
    if not np.issubdtype(values.dtype, np.floating):
        raise DatasetError(f"{path}: `{field}` must hold floating-point numbers, got {values.dtype}.")
    return values.astype(np.float32, copy=False)
