"""Transitions over stored observations, and the dataset that a task loads."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np

from offlow_core.data.frames import stack_frames, stacked_rows

ACTION_LIMIT = 1 - 1e-5  # keeps dataset actions off the border, where a squashed policy has no density
ACTION_ROUNDING = 1e-5  # by which an action that was scaled in floating point may leave [-1, 1]


@dataclass(frozen=True, eq=False)
class Transitions:
    """n transitions over r stored observations, in storage order.

    Transition k goes from `observations[rows[k]]` to `observations[next_rows[k]]`, so that a frame which is the
    successor of one transition and the start of the next is stored once.

    `masks` is 1 - true termination and decides bootstrapping; `terminals` is 1 at the last transition of a trajectory
    for whatever reason and decides borders. The two must not be merged.
    """

    observations: np.ndarray  # [r, ...] float32, or uint8 images [r, height, width, channels]
    rows: np.ndarray  # [n] int32
    next_rows: np.ndarray  # [n] int32
    actions: np.ndarray  # [n, action] float32
    rewards: np.ndarray  # [n] float32
    masks: np.ndarray  # [n] float32
    terminals: np.ndarray  # [n] float32

    @classmethod
    def from_arrays(
        cls,
        observations: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        masks: np.ndarray,
        terminals: np.ndarray,
        next_observations: np.ndarray,
    ) -> "Transitions":
        """Build from one successor per transition, all arrays [n, ...].

        A successor that equals the following observation is not stored again; any other becomes an extra row.
        """
        n = len(observations)
        follows = np.zeros(n, bool)
        same = next_observations[:-1] == observations[1:]
        follows[:-1] = same.all(axis=tuple(range(1, same.ndim)))
        extra = np.flatnonzero(~follows)
        next_rows = np.arange(1, n + 1, dtype=np.int32)
        next_rows[extra] = n + np.arange(len(extra), dtype=np.int32)
        return cls(
            observations=np.concatenate([observations, next_observations[extra]]),
            rows=np.arange(n, dtype=np.int32),
            next_rows=next_rows,
            actions=np.asarray(actions, np.float32),
            rewards=np.asarray(rewards, np.float32),
            masks=np.asarray(masks, np.float32),
            terminals=np.asarray(terminals, np.float32),
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def observation_shape(self, frame_stack: int = 1) -> tuple[int, ...]:
        """Shape of one observation as a policy sees it."""
        *leading, channels = self.observations.shape[1:]
        return (*leading, channels * frame_stack)

    def trajectory_starts(self) -> np.ndarray:
        """Index of the first transition of each transition's trajectory, [n] int32."""
        starts = np.zeros(len(self), np.int32)
        opens = np.flatnonzero(self.terminals[:-1] > 0) + 1
        starts[opens] = opens
        return np.maximum.accumulate(starts)

    def gather(self, indices: np.ndarray, frame_stack: int = 1) -> dict[str, np.ndarray]:
        """The batch of these transitions, in plain numpy: the reference for every faster sampler.

        With `frame_stack` k the observation is the concatenation over the last axis of the k frames that end at the
        transition, and the next observation that of the last k - 1 of them and the successor. Frames before the start
        of a trajectory repeat its first one.
        """
        starts = self.trajectory_starts()[indices] if frame_stack > 1 else indices
        now, after = stacked_rows(self.rows, self.next_rows, starts, indices, frame_stack)
        return {
            "observations": stack_frames(self.observations, now),
            "actions": self.actions[indices],
            "rewards": self.rewards[indices],
            "masks": self.masks[indices],
            "terminals": self.terminals[indices],
            "next_observations": stack_frames(self.observations, after),
        }

    def checksum(self) -> str:
        """SHA-256 (hexadecimal) over names, types, shapes and bytes of all arrays, computed once."""
        return self._checksum

    @cached_property
    def _checksum(self) -> str:
        digest = hashlib.sha256()
        for field in fields(self):
            array = np.ascontiguousarray(getattr(self, field.name))
            digest.update(f"{field.name} {array.dtype.str} {array.shape}\n".encode())
            if array.size:  # an empty one has no memory to view
                digest.update(array.reshape(-1).data.cast("B"))
        return digest.hexdigest()


Change = Callable[[Transitions], Transitions]


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a task loads: training transitions, validation transitions where there are any, and where they came from.

    `origin` can be written as JSON: `source` ("cache", "download" or "dataset_path"), `files` (each with role, name,
    bytes and sha256) and `transitions` (number per role).
    """

    train: Transitions
    validation: Transitions | None
    origin: dict

    def mapped(self, change: Change) -> Self:
        """The dataset with `change` made to everything that is trained or validated on."""
        validation = None if self.validation is None else change(self.validation)
        return replace(self, train=change(self.train), validation=validation)

    def checksum(self) -> str:
        """SHA-256 (hexadecimal) of what is trained on: two datasets with equal ones train alike."""
        return self.train.checksum()

    @property
    def extent(self) -> str:
        """How much there is, in words."""
        held_out = 0 if self.validation is None else len(self.validation)
        return f"{len(self.train):,} transitions ({held_out:,} held out)"


def empty_transitions(observation_dim: int, action_dim: int) -> Transitions:
    """No transition at all, of these widths."""
    rows, numbers = np.zeros(0, np.int32), np.zeros(0, np.float32)
    return Transitions(
        observations=np.zeros((0, observation_dim), np.float32),
        rows=rows,
        next_rows=rows,
        actions=np.zeros((0, action_dim), np.float32),
        rewards=numbers,
        masks=numbers,
        terminals=numbers,
    )


def leaves_unit(actions: np.ndarray) -> np.ndarray:
    """Which rows of actions [n, A] leave [-1, 1] by more than rounding, [n] bool."""
    return np.any(np.abs(actions) > 1 + ACTION_ROUNDING, axis=1)


def clip_actions(actions: np.ndarray) -> np.ndarray:
    """Actions clipped to +-(1 - 1e-5)."""
    return np.clip(actions, -ACTION_LIMIT, ACTION_LIMIT)
