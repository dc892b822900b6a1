"""What can be wrong with a dataset; each check looks at one thing and reports all that it finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from offlow_core.data import trajectories
from offlow_core.data.recordings.fields import ROWS, Fields
from offlow_core.data.recordings.measures import earlier_equal_rows, ranges, step_sizes
from offlow_core.data.recordings.recording import Recording, lay_out, structural_faults
from offlow_core.data.transitions import ACTION_ROUNDING
from offlow_core.wording import counted

_SHOWN_COLUMNS = 8
_FEW_ROWS = 100  # too few to say which step is unusual


@dataclass(frozen=True)
class Finding:
    """One line of a report: what was looked at, and what came of it."""

    level: Literal["OK", "WARN", "FAIL"]
    text: str


def check_fields(fields: Fields, step_limit: int | None = None) -> Iterator[Finding]:
    """Everything that can be said of a dataset's arrays, also where some of them cannot be used.

    `step_limit` as in `lay_out`.
    """
    yield from _structure(fields)
    numbers = {name: values for name, values in fields.arrays.items() if values.dtype.kind == "f" and values.ndim}
    sound = True
    for name, values in numbers.items():
        for finding in _values(name, values):
            sound &= finding.level != "FAIL"
            yield finding
    if sound:
        yield Finding("OK", f"all numbers are finite ({', '.join(numbers) or 'there are none'})")
    if not any(structural_faults(fields)):
        yield from check_recording(lay_out(fields, step_limit))


def check_recording(recording: Recording) -> Iterator[Finding]:
    """Borders, successors, repetitions, actions and rewards of rows that fit together."""
    for check in (_borders, _lengths, _successors, _jumps, _repetitions, _actions, _rewards):
        yield from check(recording)


def _structure(fields: Fields) -> Iterator[Finding]:
    faults = list(structural_faults(fields))
    yield from (Finding("FAIL", fault) for fault in faults)
    if not faults:
        kinds = (f"{name} {values.dtype} {values.shape}" for name, values in fields.arrays.items() if name in ROWS)
        yield Finding("OK", f"the arrays fit together: {', '.join(kinds)}")


def _values(name: str, values: np.ndarray) -> Iterator[Finding]:
    found = ranges(values, name)
    if found.bad_rows:
        row = found.first_bad_row
        place = "" if values.ndim == 1 else f", number {_first(~np.isfinite(values[row].reshape(-1)))}"
        yield Finding(
            "FAIL", f"`{name}`: NaN or infinity in {counted(found.bad_rows, 'row')}, the first is row {row}{place}"
        )
    largest = np.abs([found.low, found.high]).max()
    if np.finfo(np.float32).max < largest < np.inf:
        yield Finding("FAIL", f"`{name}`: values up to {largest:g} in size do not fit into float32")
    if name in ("observations", "actions") and len(values) > 1 and len(found.constant):
        shown = ", ".join(map(str, found.constant[:_SHOWN_COLUMNS])) + ", ..." * (len(found.constant) > _SHOWN_COLUMNS)
        yield Finding("WARN", f"`{name}`: {len(found.constant)} of {len(found.low)} columns are constant ({shown})")


def _borders(recording: Recording) -> Iterator[Finding]:
    if not recording.timeouts.any() and recording.next_observations is None:
        yield Finding("WARN", "no row is marked in `timeouts`: an episode that was cut off runs on into the next")
    both = recording.terminals & recording.timeouts
    if both.any():
        rows = counted(int(both.sum()), "row")
        yield Finding("WARN", f"{rows} marked both terminal and cut off, the first is {_first(both)}")
    finished = recording.terminals[-1] or recording.timeouts[-1]
    episodes = int(recording.ends.sum())
    if not finished:
        level = "FAIL" if recording.format == "ogbench" else "WARN"
        yield Finding(level, f"the last row ({len(recording) - 1}) ends no episode: the file is cut off, or unfinished")
    if recording.goals_lie_inside:
        yield Finding("OK", "terminal rows come in runs: goals lie inside of episodes, as in AntMaze, and end none")
    if finished:
        yield Finding("OK", f"{counted(episodes, 'episode')}, the last row ends one")


def _lengths(recording: Recording) -> Iterator[Finding]:
    starts, stops = trajectories.spans(recording.ends)
    lengths = stops - starts
    short = np.flatnonzero(lengths == 1)
    if len(short):
        yield Finding("WARN", f"{counted(len(short), 'episode')} of a single row, the first is row {starts[short[0]]}")
    cut_off = recording.timeouts[stops - 1]
    values, counts = np.unique(lengths[cut_off], return_counts=True)
    if not len(values):
        return
    usual = int(values[counts.argmax()])
    if counts.max() < 0.8 * cut_off.sum() or cut_off.sum() < 3 or usual < 2:
        return  # cut off at no fixed length
    longer = lengths > usual
    # Several times the usual length is no accident; other lengths may be a terminal state reached in overtime.
    for level, chosen in (("FAIL", longer & (lengths % usual == 0)), ("WARN", longer & (lengths % usual != 0))):
        if chosen.any():
            k = _first(chosen)
            episodes = counted(int(chosen.sum()), "episode")
            yield Finding(
                level,
                f"{episodes} longer than the {usual:,} rows after which others are cut off, the first from row "
                f"{starts[k]} with {lengths[k]:,} rows: the border after row {starts[k] + usual - 1} may be missing",
            )


def _successors(recording: Recording) -> Iterator[Finding]:
    if recording.next_observations is None:
        return
    flagged = recording.terminals | recording.timeouts
    flagged[-1] = True
    inside = recording.breaks & ~flagged
    if not inside.any():
        yield Finding("OK", "inside of episodes, each row leads to the next one")
    elif inside.sum() > 0.5 * (~flagged).sum():
        yield Finding("WARN", "rows are not in the order of time: most `next_observations` are not the next row")
    else:
        # Own data are read by these borders; D4RL's are read by the flags alone, and rows would be joined wrongly.
        yield Finding(
            "WARN" if recording.format == "own" else "FAIL",
            f"the recorded successor is not the next row's state in {counted(int(inside.sum()), 'row')} inside of "
            f"episodes, the first is {_first(inside)}: a border is missing there (`timeouts`), or rows were removed",
        )


def _jumps(recording: Recording) -> Iterator[Finding]:
    """Steps that are far larger than all around them; a missing border looks like this in many environments."""
    if recording.next_observations is not None or recording.observations.ndim != 2:
        return
    steps = step_sizes(recording.observations)
    inside = ~recording.ends[:-1] & np.isfinite(steps)
    if inside.sum() < _FEW_ROWS:
        return
    padded = np.nan_to_num(np.concatenate([[0], steps, [0]]))
    beside = np.maximum(padded[:-2], padded[2:])
    # Not the largest of all: the few that are looked for must not decide what is usual.
    rank = max(6, int(inside.sum()) // 1000)
    usual = np.partition(steps[inside], -rank)[-rank]
    jumps = inside & (steps > 2 * usual) & (steps > 5 * beside)
    if jumps.any():
        yield Finding(
            "WARN",
            f"{counted(int(jumps.sum()), 'step')} inside of episodes far larger than all others, the first after row "
            f"{_first(jumps)}: a border may be missing there",
        )
    else:
        yield Finding("OK", "no step inside of an episode is far larger than all others")


def _repetitions(recording: Recording) -> Iterator[Finding]:
    repeats, firsts = earlier_equal_rows(recording.observations, recording.actions)
    if not len(repeats):
        yield Finding("OK", "no row repeats another one's observation and action")
        return
    repeated = np.zeros(len(recording), bool)
    repeated[repeats] = True
    starts, stops = trajectories.spans(recording.ends)
    whole = int((trajectories.returns(repeated, recording.ends) == stops - starts).sum())
    episodes = f", {counted(whole, 'episode')} as a whole" if whole else ""
    rows = f"{counted(len(repeats), 'row')} ({len(repeats) / len(recording):.1%})"
    example = f"row {repeats[0]} repeats row {firsts[0]}"
    yield Finding("WARN", f"{rows} with the observation and action of an earlier one{episodes}; {example}")


def _actions(recording: Recording) -> Iterator[Finding]:
    size = np.abs(recording.actions).max(axis=1)
    outside = size > 1 + ACTION_ROUNDING
    if not outside.any():
        yield Finding("OK", "actions lie in [-1, 1]")
        return
    consequence = "own data are refused, scale them" if recording.format == "own" else "they are clipped in training"
    yield Finding(
        "FAIL" if recording.format == "own" else "WARN",
        f"actions outside of [-1, 1], up to {np.nanmax(size):g}, in {counted(int(outside.sum()), 'row')}, the first is "
        f"{_first(outside)}: {consequence}",
    )


def _rewards(recording: Recording) -> Iterator[Finding]:
    if recording.rewards is None:
        yield Finding("OK", "there are no rewards, as usual in OGBench: they are computed for each task")
        return
    rewards = np.asarray(recording.rewards, np.float64)
    if not np.isfinite(rewards).all():
        return
    if len(rewards) > 1 and rewards.min() == rewards.max():
        yield Finding("WARN", f"all rewards are {rewards[0]:g}: there is nothing to prefer")
        return
    sums = trajectories.returns(rewards, recording.ends)
    yield Finding(
        "OK",
        f"rewards from {rewards.min():g} to {rewards.max():g}, returns from {sums.min():g} to {sums.max():g}",
    )


def _first(flags: np.ndarray) -> int:
    return int(np.flatnonzero(flags)[0])
