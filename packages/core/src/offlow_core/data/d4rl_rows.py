"""D4RL files: which of their rows are transitions, and what ends a trajectory."""

import numpy as np

from offlow_core.data.transitions import Transitions

_JUMP = 1e-6  # distance beyond which the next transition does not start where this one went


def qlearning_rows(
    terminals: np.ndarray,
    timeouts: np.ndarray | None = None,
    *,
    max_episode_steps: int | None = None,
    terminate_on_end: bool = False,
) -> np.ndarray:
    """Rows of a file that are transitions to the row after them (int32), as D4RL's `qlearning_dataset` chooses them.

    The flags are [rows] or [rows, 1]. The last row is never chosen, nor is one at which an episode was cut off (unless
    `terminate_on_end`). Where the file has no `timeouts`, episodes are cut off after `max_episode_steps`.

    Kept as they are: at a terminal row the successor is the first state of the next episode (it is masked), and each
    cut-off episode loses its last action.
    """
    terminals = np.asarray(terminals, bool).reshape(-1)
    n = len(terminals) - 1
    if terminate_on_end:
        return np.arange(n, dtype=np.int32)
    if timeouts is None:
        if max_episode_steps is None:
            raise ValueError("a file without `timeouts` needs max_episode_steps")
        timeouts = cut_offs(terminals, max_episode_steps)
    return np.flatnonzero(~np.asarray(timeouts, bool).reshape(-1)[:n]).astype(np.int32)


def cut_offs(terminals: np.ndarray, max_episode_steps: int) -> np.ndarray:
    """Rows at which D4RL's running step count reaches the limit, [rows] bool; it stands in for missing `timeouts`.

    The count starts at 0 on the first row and after a cut-off, but at 1 after a terminal row.
    """
    if max_episode_steps < 2:
        raise ValueError(f"max_episode_steps must be at least 2, got {max_episode_steps}")
    cut = np.zeros(len(terminals), bool)
    start, step = 0, 0
    for terminal in [*np.flatnonzero(terminals).tolist(), len(terminals) - 1]:
        cut[start + max_episode_steps - 1 - step : terminal + 1 : max_episode_steps] = True
        start, step = terminal + 1, 0 if cut[terminal] else 1
    return cut


def to_transitions(
    file: dict[str, np.ndarray], rows: np.ndarray, *, terminal_ends_trajectory: bool, reward_shift: float = 0.0
) -> Transitions:
    """Transitions of the chosen rows of a file, by the conversion that FQL and its descendants use.

    A trajectory ends where the next transition does not start at this one's successor, and, if
    `terminal_ends_trajectory` (everywhere but in AntMaze, whose goal rows lie inside of episodes), at terminal rows.
    Actions are not clipped.
    """
    observations = np.asarray(file["observations"], np.float32)
    terminals = np.asarray(file["terminals"], bool).reshape(-1)[rows]
    ends = _jumps(observations, rows)
    if terminal_ends_trajectory:
        ends |= terminals
    return Transitions(
        observations=observations,
        rows=rows,
        next_rows=rows + np.int32(1),
        actions=np.asarray(file["actions"], np.float32)[rows],
        rewards=np.asarray(file["rewards"], np.float32).reshape(-1)[rows] + np.float32(reward_shift),
        masks=1 - terminals.astype(np.float32),
        terminals=ends.astype(np.float32),
    )


def _jumps(observations: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether the next transition starts elsewhere than where this one went; true for the last transition."""
    jumps = np.ones(len(rows), bool)
    jumps[:-1] = rows[1:] != rows[:-1] + 1
    gaps = np.flatnonzero(jumps[:-1])
    distance = np.linalg.norm(observations[rows[gaps + 1]] - observations[rows[gaps] + 1], axis=-1)
    jumps[gaps] = distance > _JUMP
    return jumps
