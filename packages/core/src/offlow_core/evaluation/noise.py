"""Noise for policies that act by drawing: a row's numbers depend on that row's seed alone."""

import numpy as np


def normal_rows(noise_seeds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers [n, *shape] float32 for noise seeds [n, 2]."""
    return np.stack([_generator(key).standard_normal(shape, np.float32) for key in noise_seeds])


def uniform_rows(noise_seeds: np.ndarray) -> np.ndarray:
    """One number in [0, 1) per row, [n] float32, independent of `normal_rows`."""
    return np.array([_generator(key, 1).random(dtype=np.float32) for key in noise_seeds], np.float32)


def _generator(key: np.ndarray, stream: int = 0) -> np.random.Generator:
    # Counter-based: making one costs microseconds, and nearby keys give unrelated numbers.
    return np.random.Generator(np.random.Philox(key=key.astype(np.uint64), counter=[0, 0, 0, stream]))
