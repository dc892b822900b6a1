"""What has to change in rows so that a file of another format can hold them, and what is lost on the way."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from offlow_core.data.recordings.recording import Recording
from offlow_core.data.transitions import Transitions, leaves_unit
from offlow_core.data.validation import DatasetError
from offlow_core.wording import counted

_SHOWN_NAMES = 6


@dataclass(frozen=True, eq=False)
class Converted:
    """Rows as the other format lays them out."""

    recording: Recording
    changes: tuple[str, ...]
    """What was changed or left out, for people."""


def with_rewards(recording: Recording, transitions: Transitions) -> Recording:
    """Rows of an OGBench file with the rewards and terminations of a task, computed when it loaded the same file."""
    rewards = np.zeros(len(recording), np.float32)
    terminals = np.zeros(len(recording), bool)
    rewards[transitions.rows], terminals[transitions.rows] = transitions.rewards, transitions.masks == 0
    return replace(recording, rewards=rewards, terminals=terminals)


def with_unit_actions(recording: Recording, bounds: tuple[np.ndarray, np.ndarray] | None) -> Recording:
    """Actions rescaled from these bounds to [-1, 1]; None where they are there already."""
    if bounds is None:
        return recording
    low, high = (bound.astype(np.float64) for bound in bounds)
    return replace(recording, actions=(2 * (recording.actions - low) / (high - low) - 1).astype(np.float32))


def to_own(recording: Recording) -> Converted:
    """Rows as own data have them: everything is kept, further arrays as `infos/...`."""
    _require_rewards(recording)
    _require_unit_actions(recording)
    _require_cut_offs(recording)
    converted = replace(recording, format="own", extras=_as_infos(recording.extras))
    changes = [*_unmarked(recording), *_goals_inside(recording), *_left_out(recording)]
    if recording.format == "d4rl" and recording.next_observations is not None and recording.timeouts.any():
        changes.append(
            "cut-off rows become transitions too: own data use the recorded `next_observations`, which D4RL overlooks"
        )
    elif recording.format == "d4rl" and (both := _marked_twice(recording)):
        changes.append(f"{both}, now a transition: own data count it as terminal, D4RL drops it as cut off")
    return Converted(converted, tuple(changes))


def to_d4rl(recording: Recording) -> Converted:
    """Rows as D4RL has them: a cut-off row has no successor and is dropped when the file is loaded.

    Where the successor was recorded it becomes that row, so that no transition is lost.
    """
    _require_rewards(recording)
    changes = [*_unmarked(recording), *_goals_inside(recording), *_left_out(recording)]
    if recording.next_observations is not None and recording.format in ("own", "minari"):
        recording, more = _with_final_rows(recording, recording.next_observations)
        changes += more
    elif recording.format == "own" and (both := _marked_twice(recording)):
        changes.append(f"{both}, kept as terminal only: D4RL would drop it as cut off, and the termination with it")
        recording = replace(recording, timeouts=recording.cut_off)
    return Converted(replace(recording, format="d4rl", extras=_as_infos(recording.extras)), tuple(changes))


def to_ogbench(recording: Recording) -> Converted:
    """Rows as OGBench has them, whose rewards are computed from the simulator's state when the file is loaded."""
    if recording.next_observations is not None:
        raise DatasetError(
            f"{recording.path}: an OGBench file needs the simulator's state (qpos, qvel) in the last state of each "
            "episode, which this file does not have: it stores last states in `next_observations` only."
        )
    extras = {name.rpartition("/")[2]: values for name, values in recording.extras.items()}
    missing = [name for name in ("qpos", "qvel") if name not in extras]
    if missing:
        raise DatasetError(
            f"{recording.path}: an OGBench file needs the simulator's state to compute rewards from, but there is no "
            f"`{'` and no `'.join(missing)}` (nor as `infos/...`)."
        )
    _require_cut_offs(recording)
    final = recording.terminals & recording.ends & ~recording.cut_off
    if final.any():
        raise DatasetError(
            f"{recording.path}: an OGBench file needs the state after the last action of each episode, but "
            f"{int(final.sum()):,} episodes end with a terminal row, whose successor is not recorded; the first is row "
            f"{int(np.flatnonzero(final)[0])}."
        )
    kept = {name: extras[name] for name in ("qpos", "qvel", "button_states") if name in extras}
    converted = replace(
        recording,
        format="ogbench",
        rewards=None,
        terminals=np.zeros(len(recording), bool),
        timeouts=recording.ends,
        extras=kept,
    )
    changes = ["rewards and terminations are not stored: OGBench computes them for each task when it loads the file"]
    lost = [*_dropped(set(extras) - set(kept)), *_left_out(recording)]
    return Converted(converted, (*_unmarked(recording), *changes, *lost))


def to_minari(recording: Recording) -> Converted:
    """Rows as Minari has them: every step has a successor, that of a terminal row may be its own state."""
    _require_rewards(recording)
    _require_cut_offs(recording)
    changes = [*_unmarked(recording), *_dropped(recording.extras), *_left_out(recording)]
    if recording.next_observations is None:
        recording, more = _without_cut_off_rows(recording)
        changes += more
    else:
        # Own data also end an episode where the next row is not the successor, without a flag.
        recording = replace(recording, timeouts=recording.ends)
    return Converted(replace(recording, format="minari", extras={}), tuple(changes))


LAYOUTS: dict[str, Callable[[Recording], Converted]] = {
    "own": to_own,
    "d4rl": to_d4rl,
    "ogbench": to_ogbench,
    "minari": to_minari,
}


def _with_final_rows(recording: Recording, successors: np.ndarray) -> tuple[Recording, list[str]]:
    """A row more after each episode that was cut off: its last state, with action and reward 0."""
    ends = recording.ends
    cut_off = ends & ~recording.terminals
    at = np.flatnonzero(cut_off) + 1

    def insert(values: np.ndarray, new: np.ndarray | float | bool) -> np.ndarray:
        return np.insert(values, at, new, axis=0)

    widened = replace(
        recording,
        observations=insert(recording.observations, successors[at - 1]),
        actions=insert(recording.actions, 0),
        rewards=insert(_require_rewards(recording), 0),
        terminals=insert(recording.terminals, False),
        timeouts=insert(np.zeros(len(recording), bool), True),
        next_observations=None,
        extras={},
    )
    changes = [
        f"each of {len(at):,} cut-off episodes ends with one more row, which holds its last state and nothing else "
        "(action and reward are 0) and is dropped when the file is loaded"
    ]
    if (terminated := int((ends & recording.terminals).sum())) > 0:
        changes.append(f"the states after {terminated:,} terminations are not stored; nothing is learned from them")
    return widened, [*changes, *_dropped(recording.extras)]


def _without_cut_off_rows(recording: Recording) -> tuple[Recording, list[str]]:
    """Rows with successors: the next row's state; cut-off rows, which have none, are dropped."""
    ends = recording.ends
    terminated = ends & recording.terminals
    dropped = ends & ~recording.terminals
    following = np.arange(len(recording)) + 1
    following[terminated] -= 1  # a terminal row: its own state, as the true successor is not recorded
    timeouts = np.zeros(len(recording), bool)
    timeouts[:-1] = dropped[1:] & ~ends[:-1]
    kept = np.flatnonzero(~dropped)
    pieces = {name: getattr(recording, name)[kept] for name in ("observations", "actions", "rewards", "terminals")}
    successors = recording.observations[following[kept]]
    narrowed = replace(recording, **pieces, timeouts=timeouts[kept], next_observations=successors, extras={})
    changes = []
    if dropped.any() and recording.format != "ogbench":  # whose last rows hold nothing but the last state
        changes.append(
            f"the last action and reward of {int(dropped.sum()):,} cut-off episodes are left out: what followed is not "
            "known"
        )
    if terminated.any():
        changes.append(
            f"the states after {int(terminated.sum()):,} terminations are not known: those before stand for them"
        )
    return narrowed, changes


def _require_rewards(recording: Recording) -> np.ndarray:
    if recording.rewards is None:
        raise DatasetError(
            f"{recording.path}: the file has no rewards, OGBench computes them for a task; name one with --task NAME."
        )
    return recording.rewards


def _require_cut_offs(recording: Recording) -> None:
    if recording.format == "d4rl" and not recording.knows_cut_offs:
        raise DatasetError(
            f"{recording.path}: the file has no `timeouts`. D4RL then counts steps to the task's limit, which the file "
            "does not tell, and episodes that were cut off would run on into the next: name the task with --task NAME."
        )


def _require_unit_actions(recording: Recording) -> None:
    outside = np.flatnonzero(leaves_unit(recording.actions))
    if outside.size:
        raise DatasetError(
            f"{recording.path}: own data must have actions in [-1, 1], but {outside.size:,} rows have others; row "
            f"{outside[0]} holds {recording.actions[outside[0]]}. Scale or clip them first."
        )


def _as_infos(extras: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name if "/" in name else f"infos/{name}": values for name, values in extras.items()}


def _unmarked(recording: Recording) -> list[str]:
    if recording.knows_cut_offs:
        return []
    return [
        "the file has no `timeouts`: an episode that was cut off runs on into the next (D4RL counts its steps instead: "
        "--task NAME)"
    ]


def _marked_twice(recording: Recording) -> str:
    """The rows that are both terminal and cut off, in words; empty where there are none."""
    both = int((recording.terminals & recording.timeouts).sum())
    return f"{counted(both, 'row')} marked both terminal and cut off" if both else ""


def _goals_inside(recording: Recording) -> list[str]:
    inside = int((recording.terminals & ~recording.timeouts & ~recording.ends).sum())
    return [f"{inside:,} terminal rows inside of episodes may end a trajectory there when the file is loaded"][:inside]


def _dropped(names: Collection[str]) -> list[str]:
    if not names:
        return []
    shown = sorted(names)[:_SHOWN_NAMES]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return [f"not carried over: {', '.join(shown)}{more}"]


def _left_out(recording: Recording) -> list[str]:
    return _dropped(recording.left_out)
