"""Transitions that live on the device, and batches drawn from them inside a compiled program."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from offlow_core.data.transitions import Transitions
from offlow_core.jax.networks import Array
from offlow_core.option_checks import OptionError

Batch = dict[str, Array]

CROP_PADDING = 3


class DeviceTransitions(NamedTuple):
    """`Transitions` as device arrays; only the first `size` of them may be sampled.

    Transition k goes from `observations[rows[k]]` to `observations[next_rows[k]]`; `starts[k]` is the first transition
    of its trajectory.
    """

    observations: Array
    rows: Array
    next_rows: Array
    starts: Array
    actions: Array
    rewards: Array
    masks: Array
    size: Array


def to_device(transitions: Transitions) -> DeviceTransitions:
    """Put a dataset on the default device, once."""
    return DeviceTransitions(
        observations=jnp.asarray(transitions.observations),
        rows=jnp.asarray(transitions.rows),
        next_rows=jnp.asarray(transitions.next_rows),
        starts=jnp.asarray(transitions.trajectory_starts()),
        actions=jnp.asarray(transitions.actions),
        rewards=jnp.asarray(transitions.rewards),
        masks=jnp.asarray(transitions.masks),
        size=jnp.asarray(len(transitions), jnp.int32),
    )


@dataclass(frozen=True)
class Sampler:
    """Uniform batches: frame stacks, and random crops with probability `crop_probability` for a whole batch."""

    frame_stack: int = 1
    crop_probability: float = 0.0

    def sample(self, data: DeviceTransitions, key: Array, batch_size: int, columns: dict[str, Array]) -> Batch:
        """`batch_size` transitions, drawn with replacement, with the given values per transition [n] at their names."""
        index_key, _ = jax.random.split(key)
        return self.batch(data, jax.random.randint(index_key, (batch_size,), 0, data.size), key, columns)

    def batch(self, data: DeviceTransitions, indices: Array, key: Array, columns: dict[str, Array]) -> Batch:
        """These transitions, cropped as it happens; the key's first half is left to who chose them."""
        batch = self.gather(data, indices, columns)
        if self.crop_probability == 0:
            return batch
        _, crop_key = jax.random.split(key)
        return augment(batch, crop_key, self.crop_probability)

    def gather(self, data: DeviceTransitions, indices: Array, columns: dict[str, Array]) -> Batch:
        """The batch of these transitions; equals `Transitions.gather`."""
        steps_back = jnp.arange(self.frame_stack - 1, -1, -1)
        frames = jnp.maximum(indices[:, None] - steps_back, data.starts[indices][:, None])
        now = data.rows[frames]
        after = jnp.concatenate([now[:, 1:], data.next_rows[indices][:, None]], axis=1)
        return {
            "observations": self._stack(data.observations, now),
            "actions": data.actions[indices],
            "rewards": data.rewards[indices],
            "masks": data.masks[indices],
            "next_observations": self._stack(data.observations, after),
        } | {name: values[indices] for name, values in columns.items()}

    def _stack(self, observations: Array, rows: Array) -> Array:
        return jnp.concatenate([observations[rows[:, j]] for j in range(self.frame_stack)], axis=-1)


def make_sampler(transitions: Transitions, *, frame_stack: int | None, p_aug: float | None) -> Sampler:
    """The sampler that the options of a run ask for; `OptionError` if they ask for crops of state vectors."""
    images = transitions.observations.ndim == 4
    if p_aug and not images:
        raise OptionError("p_aug crops images, but the task's observations are state vectors; leave --p_aug out")
    return Sampler(frame_stack=frame_stack or 1, crop_probability=p_aug or 0.0)


def augment(batch: Batch, key: Array, probability: float, padding: int = CROP_PADDING) -> Batch:
    """With this probability crop every sample of the batch at a uniform offset in {0 .. 2 padding}^2, else none.

    A sample's observation and successor share one offset.
    """
    apply_key, offset_key = jax.random.split(key)
    offsets = jax.random.randint(offset_key, (len(batch["actions"]), 2), 0, 2 * padding + 1)
    apply = jax.random.uniform(apply_key) < probability
    images = {name: batch[name] for name in ("observations", "next_observations")}
    cropped = jax.lax.cond(
        apply, lambda x: {name: crop(image, offsets, padding) for name, image in x.items()}, lambda x: x, images
    )
    return {**batch, **cropped}


def crop(images: Array, offsets: Array, padding: int) -> Array:
    """Pad images [B, H, W, C] by repeating their edges, and cut [H, W] at each one's (row, column) offset [B, 2]."""
    height, width = images.shape[1:3]
    # Reading with clipped indices is the same as padding with edge replication, without the padded copy.
    rows = jnp.clip(offsets[:, :1] + jnp.arange(height) - padding, 0, height - 1)
    columns = jnp.clip(offsets[:, 1:] + jnp.arange(width) - padding, 0, width - 1)
    return images[jnp.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
