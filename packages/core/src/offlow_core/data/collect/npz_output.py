"""Joins finished episodes into one official npz file without holding the data set in memory."""

import zipfile
from collections.abc import Iterable, Sequence
from typing import IO

import numpy as np

from offlow_core.data.collect.parts import PartsFolder


def write_joined(file: IO[bytes], parts: PartsFolder, episodes: Sequence[int]) -> None:
    """Write the rows of `episodes`, in this order, as `numpy.savez_compressed` would.

    Every array is streamed: a full visual data set has more than 12 GB of frames.
    """
    first = parts.arrays(episodes[0])
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, example in first.items():
            rows = len(example) * len(episodes)
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                _write_array(
                    member, example.dtype, (rows, *example.shape[1:]), (parts.arrays(e)[key] for e in episodes)
                )


def _write_array(member: IO[bytes], dtype: np.dtype, shape: tuple[int, ...], pieces: Iterable[np.ndarray]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    for piece in pieces:
        member.write(np.ascontiguousarray(piece).tobytes())
