"""The replay buffer of online fine-tuning: a ring on the device that starts with the dataset, or empty."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from offlow_core.jax.device_data import DeviceTransitions
from offlow_core.jax.networks import Array


class Replay(NamedTuple):
    """A ring of transitions, the first `offline` of which were there before the first online step.

    Every online transition owns two observation rows, from `first_row` on, that are reused when its slot is.
    """

    transitions: DeviceTransitions
    offline: Array
    first_row: Array
    inserted: Array


def create_replay(data: DeviceTransitions, capacity: int, online_steps: int, *, keep_offline: bool) -> Replay:
    """A ring over the dataset (`keep_offline`) or an empty one for the same shapes; no longer than it can ever get."""
    offline = int(data.size) if keep_offline else 0
    rows = len(data.observations) if keep_offline else 0
    if capacity <= offline:
        raise ValueError(f"a buffer of {capacity} transitions has no room beside the dataset's {offline}")
    slots = min(capacity, offline + online_steps)

    def extended(values: Array, length: int, used: int) -> Array:
        return jnp.zeros((length, *values.shape[1:]), values.dtype).at[:used].set(values[:used])

    per_transition = {
        name: extended(getattr(data, name), slots, offline)
        for name in ("rows", "next_rows", "starts", "actions", "rewards", "masks")
    }
    observations = extended(data.observations, rows + 2 * min(online_steps, slots), rows)
    size, first_row, none = (jnp.asarray(value, jnp.int32) for value in (offline, rows, 0))
    return Replay(DeviceTransitions(observations, **per_transition, size=size), size, first_row, none)


def insert(replay: Replay, step: dict[str, Array]) -> Replay:
    """The ring with one more transition; the oldest is overwritten when it is full.

    `step` holds observations, actions, rewards, masks, next_observations of one environment step, without a batch axis.
    """
    data = replay.transitions
    slots = len(data.rows)
    slot = (replay.offline + replay.inserted) % slots
    row_pairs = (len(data.observations) - replay.first_row) // 2
    row = replay.first_row + 2 * (replay.inserted % row_pairs)
    observations = data.observations.at[row].set(step["observations"]).at[row + 1].set(step["next_observations"])
    transitions = DeviceTransitions(
        observations=observations,
        rows=data.rows.at[slot].set(row),
        next_rows=data.next_rows.at[slot].set(row + 1),
        starts=data.starts.at[slot].set(slot),
        actions=data.actions.at[slot].set(step["actions"]),
        rewards=data.rewards.at[slot].set(step["rewards"]),
        masks=data.masks.at[slot].set(step["masks"]),
        size=jnp.minimum(data.size + 1, slots),
    )
    return replay._replace(transitions=transitions, inserted=replay.inserted + 1)


def restore(replay: Replay, online: dict[str, np.ndarray]) -> Replay:
    """A fresh ring with the online transitions of `online_part` where they were."""
    alive = len(online["actions"])
    steps = {name: jnp.asarray(values) for name, values in online.items() if name != "inserted"}
    start = replay._replace(inserted=jnp.asarray(int(online["inserted"]) - alive, jnp.int32))

    def step(i: Array, ring: Replay) -> Replay:
        return insert(ring, {name: values[i] for name, values in steps.items()})

    restored = jax.lax.fori_loop(0, alive, step, start) if alive else start
    size = jnp.minimum(replay.offline + restored.inserted, len(replay.transitions.rows))
    return restored._replace(transitions=restored.transitions._replace(size=size))


def online_part(replay: Replay) -> dict[str, np.ndarray]:
    """Host copies of the online transitions still in the ring, oldest first, as `insert` takes them, batched."""
    data = replay.transitions
    slots, inserted, offline = len(data.rows), int(replay.inserted), int(replay.offline)
    alive = np.arange(max(0, inserted - slots), inserted)
    chosen = (offline + alive) % slots
    observations = np.asarray(data.observations)
    return {
        "observations": observations[np.asarray(data.rows)[chosen]],
        "actions": np.asarray(data.actions)[chosen],
        "rewards": np.asarray(data.rewards)[chosen],
        "masks": np.asarray(data.masks)[chosen],
        "next_observations": observations[np.asarray(data.next_rows)[chosen]],
        "inserted": np.asarray(inserted, np.int64),
    }
