"""What a dataset holds, in numbers: as it was recorded, and as it is trained on."""

from dataclasses import dataclass

import numpy as np

from offlow_core.data import trajectories
from offlow_core.data.recordings.measures import Ranges, ranges
from offlow_core.data.recordings.recording import Recording
from offlow_core.data.transitions import ACTION_LIMIT, Transitions


@dataclass(frozen=True)
class Spread:
    """Smallest, mean and largest of some numbers, and their population standard deviation."""

    low: float
    mean: float
    high: float
    deviation: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Spread":
        """The spread of values [n], n > 0."""
        values = np.asarray(values, np.float64)
        return cls(float(values.min()), float(values.mean()), float(values.max()), float(values.std()))


@dataclass(frozen=True, eq=False)
class RecordedSummary:
    """A file's rows and episodes."""

    rows: int
    transitions: int
    episodes: int
    lengths: Spread
    """Rows per episode."""
    terminal_ends: int
    cut_off_ends: int
    knows_cut_offs: bool
    """False where the file does not say at which rows episodes were cut off."""
    unfinished: bool
    """Whether the file ends in the middle of an episode."""
    goals_lie_inside: bool
    returns: Spread | None
    rewards: Spread | None
    observations: Ranges
    actions: Ranges
    at_limit: float
    """Share of the numbers in all actions that are at -1 or 1, or beyond."""
    nbytes: int


def summarize_recording(recording: Recording) -> RecordedSummary:
    """Count and measure the rows of a file; returns are those of its own rewards, where it has any."""
    ends = recording.ends
    starts, stops = trajectories.spans(ends)
    last = stops - 1
    cut_off = recording.cut_off[last]
    terminal = recording.terminals[last] & ~cut_off
    finished = terminal | cut_off
    rewards = recording.rewards
    return RecordedSummary(
        rows=len(recording),
        transitions=recording.transitions,
        episodes=len(starts),
        lengths=Spread.of(stops - starts),
        terminal_ends=int(terminal.sum()),
        cut_off_ends=int(cut_off.sum()),
        knows_cut_offs=recording.knows_cut_offs,
        unfinished=not finished[-1],
        goals_lie_inside=recording.goals_lie_inside,
        returns=None if rewards is None else Spread.of(trajectories.returns(rewards, ends)),
        rewards=None if rewards is None else Spread.of(rewards),
        observations=ranges(recording.observations, "observations"),
        actions=ranges(recording.actions, "actions"),
        at_limit=float(np.mean(np.abs(recording.actions) >= np.float32(ACTION_LIMIT))),
        nbytes=recording.nbytes,
    )


@dataclass(frozen=True)
class TrainingSummary:
    """The transitions that a task makes of a file."""

    transitions: int
    trajectories: int
    returns: Spread
    rewards: Spread
    terminations: int
    """Transitions after which nothing of value follows."""
    terminating_trajectories: int
    """Trajectories with at least one such transition."""
    nbytes: int


def summarize_transitions(transitions: Transitions) -> TrainingSummary:
    """Count and measure transitions, with the rewards that they are trained on."""
    ended = transitions.masks == 0
    return TrainingSummary(
        transitions=len(transitions),
        trajectories=len(trajectories.spans(transitions.terminals)[0]),
        returns=Spread.of(trajectories.returns(transitions.rewards, transitions.terminals)),
        rewards=Spread.of(transitions.rewards),
        terminations=int(ended.sum()),
        terminating_trajectories=int((trajectories.returns(ended, transitions.terminals) > 0).sum()),
        nbytes=transitions.nbytes,
    )
