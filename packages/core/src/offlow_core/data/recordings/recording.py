"""The rows of a dataset in one layout, whatever the format they come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from offlow_core.data.d4rl_rows import cut_offs, qlearning_rows
from offlow_core.data.recordings.fields import ROWS, Fields, read_fields
from offlow_core.data.recordings.measures import blocks
from offlow_core.data.validation import DatasetError

_SAME_STATE = 1e-6  # difference up to which conversions of D4RL's files take two states for one


@dataclass(frozen=True, eq=False)
class Recording:
    """Rows in storage order, episodes one after another.

    A row is a state, the action taken there and what came of it. The last row of an episode that was cut off has a
    successor only where `next_observations` records it; OGBench's last rows have none, and their action counts nothing.
    """

    path: Path
    format: str
    observations: np.ndarray  # [r, ...]
    actions: np.ndarray  # [r, action]
    rewards: np.ndarray | None  # [r]; OGBench computes them for each task when it loads a file
    terminals: np.ndarray  # [r] bool: nothing of value follows
    timeouts: np.ndarray  # [r] bool: the episode was cut off here
    next_observations: np.ndarray | None  # [r, ...]
    extras: dict[str, np.ndarray]  # further arrays [r, ...]
    left_out: tuple[str, ...] = ()  # names of what has not one row per step
    knows_cut_offs: bool = True  # False where the file has no `timeouts`, and nothing else says what they would be

    def __len__(self) -> int:
        return len(self.actions)

    @cached_property
    def ends(self) -> np.ndarray:
        """Whether an episode ends at each row, [r] bool: where a flag says so, and at the last row.

        Where episodes go on after terminal rows, as in AntMaze, these end none. In own data an episode also ends where
        the next row does not start at this one's recorded successor.
        """
        ends = self.timeouts.copy() if self.goals_lie_inside else self.terminals | self.timeouts
        if self.format == "own":
            ends |= self.breaks
        ends[-1:] = True
        return ends

    @property
    def cut_off(self) -> np.ndarray:
        """Whether the loader of the format takes an episode for cut off at each row, [r] bool.

        A row that is marked both terminal and cut off counts as terminal in own data, and as cut off in D4RL's.
        """
        return self.timeouts & ~self.terminals if self.format == "own" else self.timeouts

    @cached_property
    def breaks(self) -> np.ndarray:
        """Whether the next row starts elsewhere than at this one's recorded successor, [r] bool."""
        breaks = np.zeros(len(self), bool)
        if self.next_observations is None:
            return breaks
        now = self.observations
        for part in blocks(len(self) - 1, now[:1].nbytes, "comparing successors"):
            following = now[part.start + 1 : part.stop + 1]
            same = np.isclose(self.next_observations[part], following, rtol=0, atol=_SAME_STATE)
            breaks[part] = ~same.reshape(len(following), -1).all(axis=1)
        return breaks

    @cached_property
    def goals_lie_inside(self) -> bool:
        """Whether episodes go on after terminal rows.

        Those come in runs then, as long as a goal stays reached. Otherwise a run would be episodes of a single row.
        """
        terminal_next = self.terminals[1:][self.terminals[:-1]]
        return bool(terminal_next.size and self.timeouts.any() and terminal_next.mean() > 0.5)

    @property
    def transitions(self) -> int:
        """How many transitions the loader of the format finds."""
        if self.next_observations is not None and self.format in ("own", "minari"):
            return len(self)
        if self.format == "ogbench":
            return len(self) - int(self.timeouts.sum())
        return len(qlearning_rows(self.terminals, self.cut_off))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that there are, by the names that D4RL and own files use."""
        named = {name: getattr(self, name) for name in ROWS}
        return {name: values for name, values in named.items() if values is not None}

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(values.nbytes for values in (*self.arrays.values(), *self.extras.values()))


def read_recording(path: Path, step_limit: int | None = None) -> Recording:
    """The rows of the dataset at `path`, as `lay_out` has them; DatasetError where they cannot be read, too."""
    return lay_out(read_fields(path, for_d4rl=step_limit is not None), step_limit)


def lay_out(fields: Fields, step_limit: int | None = None) -> Recording:
    """Rows out of arrays that fit together; DatasetError for the first fault of `structural_faults`.

    `step_limit` is that of the D4RL task whose dataset this is: where the file has no `timeouts`, episodes are cut off
    by D4RL's count of steps. Own data that record successors need no such count.
    """
    for fault in structural_faults(fields):
        raise DatasetError(f"{fields.path}: {fault}")
    arrays = fields.arrays
    rows = len(arrays["actions"])
    flags = {name: _column(arrays[name]).astype(bool) for name in ("terminals", "timeouts") if name in arrays}
    if fields.format == "ogbench":
        # What it calls terminals are the ends of recorded episodes.
        flags = {"timeouts": flags["terminals"]}
    nothing = np.zeros(rows, bool)
    terminals = flags.get("terminals", nothing)
    says_borders = "timeouts" in flags or (fields.format == "own" and "next_observations" in arrays)
    if not says_borders and step_limit is not None:
        flags["timeouts"] = cut_offs(terminals, step_limit)
    return Recording(
        path=fields.path,
        format=fields.format,
        observations=arrays["observations"],
        actions=arrays["actions"],
        rewards=_column(arrays["rewards"]) if "rewards" in arrays else None,
        terminals=terminals,
        timeouts=flags.get("timeouts", nothing),
        next_observations=arrays.get("next_observations"),
        extras={name: values for name, values in arrays.items() if name not in ROWS},
        left_out=fields.left_out,
        knows_cut_offs=says_borders or step_limit is not None,
    )


def structural_faults(fields: Fields) -> Iterator[str]:
    """What keeps the arrays from being laid out: missing ones, wrong kinds of numbers, sizes that do not agree."""
    arrays = fields.arrays
    required = [name for name in ("observations", "actions", "rewards", "terminals") if name not in arrays]
    if fields.format == "ogbench":
        required.remove("rewards")
    for name in required:
        yield f"the field `{name}` is missing; the file holds {', '.join(sorted(arrays)) or 'nothing'}."
    if "actions" not in arrays:
        return
    rows = len(arrays["actions"]) if arrays["actions"].ndim else 0
    if rows == 0:
        yield f"`actions` must have at least one row, got the shape {arrays['actions'].shape}."
        return
    for name in (name for name in ROWS if name in arrays):
        yield from _faults_of(name, arrays[name], rows)
    if {"observations", "next_observations"} <= arrays.keys():
        now, after = arrays["observations"], arrays["next_observations"]
        if now.shape[1:] != after.shape[1:]:
            yield f"`next_observations` must have the shape {now.shape} of `observations`, got {after.shape}."


def _faults_of(name: str, values: np.ndarray, rows: int) -> Iterator[str]:
    if name in ("rewards", "terminals", "timeouts"):
        values = _column(values)
        fits, expected = values.ndim == 1, f"({rows},)"
    elif name == "actions":
        fits, expected = values.ndim == 2, f"({rows}, any)"
    else:
        fits = values.ndim == (4 if values.dtype == np.uint8 else 2)
        expected = f"({rows}, any), or ({rows}, height, width, channels) as uint8"
    if not fits or len(values) != rows:
        yield f"`{name}` must have the shape {expected}, one row per action, got {values.shape}."
    if name in ("terminals", "timeouts"):
        wrong = np.flatnonzero((values != 0) & (values != 1)) if values.ndim == 1 else []
        if len(wrong):
            yield f"`{name}` must hold 0 and 1, but row {wrong[0]} holds {values[wrong[0]]} ({len(wrong):,} such rows)."
    elif name == "rewards":
        if values.dtype.kind not in "biuf":
            yield f"`rewards` must hold numbers, got {values.dtype}."
    elif values.dtype.kind != "f" and not (name != "actions" and values.dtype == np.uint8):
        images = "" if name == "actions" else " or uint8 images"
        yield f"`{name}` must hold floating-point numbers{images}, got {values.dtype}."


def _column(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
