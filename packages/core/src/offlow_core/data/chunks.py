"""Action chunks: sequences of consecutive transitions with what a chunked critic needs of each prefix."""

import numpy as np

from offlow_core.data.transitions import Transitions


def draw_starts(generator: np.random.Generator, size: int, horizon: int, batch_size: int) -> np.ndarray:
    """First transitions of chunks, uniform over [0, size - horizon]."""
    if size < horizon:
        raise ValueError(f"a chunk of {horizon} transitions cannot be drawn from {size}")
    return generator.integers(0, size - horizon + 1, batch_size)


def gather_chunks(
    transitions: Transitions,
    starts: np.ndarray,
    horizon: int,
    discount: float,
    *,
    write_position: int | None = None,
) -> dict[str, np.ndarray]:
    """Chunks of `horizon` transitions in storage order, across the ends of trajectories.

    All fields are [batch, horizon, ...] except `observations`, which is the first one's [batch, ...]. Up to and with
    position j, `rewards` is the discounted sum, `masks` the minimum, `terminals` the maximum. `valid` is 1 where no
    earlier position of the chunk ended a trajectory: losses weigh position j with it.

    In a ring buffer the newest transition lies before `write_position` and the oldest at it; that border counts as the
    end of a trajectory.
    """
    terminals = transitions.terminals
    if write_position is not None:
        terminals = terminals.copy()
        terminals[write_position - 1] = 1
    index = np.asarray(starts)[:, None] + np.arange(horizon)
    ended = np.maximum.accumulate(terminals[index], axis=1)
    discounted = transitions.rewards[index] * discount ** np.arange(horizon)
    states = transitions.observations[transitions.rows[index]]
    return {
        "observations": states[:, 0],
        "full_observations": states,
        "actions": transitions.actions[index],
        "next_actions": transitions.actions[np.minimum(index + 1, len(transitions) - 1)],
        "rewards": np.cumsum(discounted, axis=1).astype(np.float32),
        "masks": np.minimum.accumulate(transitions.masks[index], axis=1),
        "terminals": ended,
        "valid": np.concatenate([np.ones_like(ended[:, :1]), 1 - ended[:, :-1]], axis=1),
        "next_observations": transitions.observations[transitions.next_rows[index]],
    }
