"""Frame stacks and random crops of image batches, in numpy."""

import numpy as np


def stacked_rows(
    rows: np.ndarray, next_rows: np.ndarray, starts: np.ndarray, indices: np.ndarray, frame_stack: int
) -> tuple[np.ndarray, np.ndarray]:
    """Stored rows of the frames of a stack, oldest first, before and after each transition: two arrays [batch, k].

    `rows` and `next_rows` belong to all transitions, `starts` (first transition of the trajectory) and `indices` to the
    batch. Frames from before the trajectory's start are replaced by its first one.
    """
    if frame_stack < 1:
        raise ValueError(f"frame_stack must be at least 1, got {frame_stack}")
    steps_back = np.arange(frame_stack - 1, -1, -1)
    now = rows[np.maximum(np.asarray(indices)[:, None] - steps_back, np.asarray(starts)[:, None])]
    after = np.concatenate([now[:, 1:], next_rows[indices][:, None]], axis=1)
    return now, after


def stack_frames(observations: np.ndarray, frame_rows: np.ndarray) -> np.ndarray:
    """Frames [batch, k] of `observations` [r, ..., c] concatenated over the last axis: [batch, ..., k * c]."""
    return np.concatenate([observations[frame_rows[:, j]] for j in range(frame_rows.shape[1])], axis=-1)


def crop(images: np.ndarray, offsets: np.ndarray, padding: int) -> np.ndarray:
    """Pad images [batch, h, w, c] by repeating their edges, and cut [h, w] at each one's (row, column) offset."""
    height, width = images.shape[1:3]
    # Reading with clipped indices is the same as padding with edge replication, without the padded copy.
    row = np.clip(offsets[:, :1] + np.arange(height) - padding, 0, height - 1)
    column = np.clip(offsets[:, 1:] + np.arange(width) - padding, 0, width - 1)
    return images[np.arange(len(images))[:, None, None], row[:, :, None], column[:, None, :]]


def crop_batch(batch: dict[str, np.ndarray], offsets: np.ndarray, padding: int = 3) -> dict[str, np.ndarray]:
    """The batch with its image observations cropped; a sample's observation and successor share one offset."""
    images = {
        name: crop(batch[name], offsets, padding)
        for name in ("observations", "next_observations")
        if batch[name].ndim == 4
    }
    return {**batch, **images}


def augment(
    batch: dict[str, np.ndarray], generator: np.random.Generator, probability: float, padding: int = 3
) -> dict[str, np.ndarray]:
    """With this probability crop every sample of the batch at a uniform offset in {0 .. 2 padding}^2, else none."""
    if generator.random() >= probability:
        return batch
    offsets = generator.integers(0, 2 * padding + 1, (len(batch["actions"]), 2))
    return crop_batch(batch, offsets, padding)
