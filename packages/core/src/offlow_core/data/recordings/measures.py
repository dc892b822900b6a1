"""Numbers about large arrays, taken block by block so that none of them is copied as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

_BLOCK_BYTES = 1 << 25
_SHOWN = {"unit": " rows", "unit_scale": True, "delay": 2, "leave": False, "disable": None}


def blocks(rows: int, row_bytes: int, what: str) -> Iterator[slice]:
    """Slices that cover `rows` rows; a bar that says `what` is shown on a terminal if this takes over two seconds."""
    length = max(1, _BLOCK_BYTES // max(1, row_bytes))
    with tqdm(total=rows, desc=what, **_SHOWN) as bar:
        for start in range(0, rows, length):
            stop = min(start + length, rows)
            yield slice(start, stop)
            bar.update(stop - start)


@dataclass(frozen=True, eq=False)
class Ranges:
    """Of each column (for images: of all pixels as one column), over the rows in which all numbers are finite."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray  # population standard deviation
    bad_rows: int  # rows with NaN or infinity
    first_bad_row: int | None

    @property
    def constant(self) -> np.ndarray:
        """Indices of the columns in which all values are equal."""
        return np.flatnonzero(self.low == self.high)


@np.errstate(over="ignore", invalid="ignore")
def ranges(values: np.ndarray, what: str = "") -> Ranges:
    """Ranges of the columns of `values` [n, d], [n] or, as one column, of images [n, height, width, channels]."""
    columns = values.shape[1] if values.ndim == 2 else 1
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    mean, squares = np.zeros(columns), np.zeros(columns)
    seen, bad, first_bad = 0, 0, None
    for part in blocks(len(values), values[:1].nbytes, f"looking at {what}"):
        block = values[part].reshape(-1, columns) if values.ndim < 4 else values[part].reshape(len(values[part]), -1)
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            first_bad = part.start + int(np.flatnonzero(~finite)[0]) if first_bad is None else first_bad
            bad += int((~finite).sum())
            block = block[finite]
        block = block.reshape(-1, columns)
        if not block.size:
            continue
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        # Means and squares of two sets joined (Chan et al.): sums of squares alone would cancel.
        block_mean = block.mean(axis=0, dtype=np.float64)
        shift, total = block_mean - mean, seen + len(block)
        squares += block.var(axis=0, dtype=np.float64) * len(block) + shift**2 * (seen * len(block) / total)
        mean += shift * (len(block) / total)
        seen = total
    return Ranges(low, high, mean, np.sqrt(squares / max(seen, 1)), bad, first_bad)


@np.errstate(over="ignore", invalid="ignore")
def step_sizes(states: np.ndarray) -> np.ndarray:
    """Distance from each row of `states` [n, d] to the next, [n - 1], in standard deviations of each column.

    NaN or infinite where one of the two rows is not finite.
    """
    scale = ranges(states, "the states").deviation
    scale[scale == 0] = 1
    sizes = np.empty(max(0, len(states) - 1))
    for part in blocks(len(sizes), states[:1].nbytes, "comparing neighbouring states"):
        block = states[part.start : part.stop + 1].astype(np.float64)
        sizes[part] = np.linalg.norm(np.diff(block, axis=0) / scale, axis=1)
    return sizes


def earlier_equal_rows(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that equal an earlier one in all `arrays` (each [n, ...]), and the first row that they equal.

    Rows are compared by a hash of their bytes, and byte by byte where the hashes agree.
    """
    rows = len(arrays[0])
    hashes = np.zeros(rows, np.uint64)
    for part in blocks(rows, sum(values[:1].nbytes for values in arrays), "looking for repeated rows"):
        for number, values in enumerate(arrays):
            hashes[part] = _mixed(hashes[part] + np.uint64(number)) + _row_hashes(values[part])
    order = np.argsort(hashes, kind="stable")
    opens = np.append(True, hashes[order][1:] != hashes[order][:-1])
    first = np.empty(rows, np.int64)
    first[order] = order[np.maximum.accumulate(np.where(opens, np.arange(rows), 0))]
    repeats = np.flatnonzero(first != np.arange(rows))
    same = np.ones(len(repeats), bool)
    for part in blocks(len(repeats), sum(values[:1].nbytes for values in arrays), "comparing repeated rows"):
        for values in arrays:
            one, other = values[repeats[part]], values[first[repeats[part]]]
            same[part] &= (one == other).reshape(len(one), -1).all(axis=1)
    return repeats[same], first[repeats[same]]


def _row_hashes(values: np.ndarray) -> np.ndarray:
    """A 64-bit hash of the bytes of each row."""
    data = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
    padded = np.zeros((len(data), -(-data.shape[1] // 8) * 8), np.uint8)
    padded[:, : data.shape[1]] = data
    words = _mixed(padded.view(np.uint64))
    factors = _mixed(np.arange(1, words.shape[1] + 1, dtype=np.uint64)) | np.uint64(1)
    return (words * factors).sum(axis=1, dtype=np.uint64)


def _mixed(words: np.ndarray) -> np.ndarray:
    """Spread each bit over all 64 (the finaliser of splitmix64), so that sums of products tell rows apart."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
