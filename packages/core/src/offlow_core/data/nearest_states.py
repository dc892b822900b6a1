"""The states of a dataset that are nearest to some of them, without those that are too close in time."""

from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

# Among a million Gaussian states of 11 numbers a tree takes about as long as comparing with all of them, at 17 numbers
# ten times as long. Real states, which fill less of their space, favour the tree.
_LARGEST_TREE_WIDTH = 11
_BLOCK_QUERIES = 1000
_SPARE_CANDIDATES = 32  # per neighbour, for those that a span excludes; they cost nearly nothing (176 of them 2%)
_SHOWN = {"desc": "looking for neighbours", "unit": " states", "delay": 2, "leave": False, "disable": None}


class NearestStates:
    """Rows of states [n, d] nearest to given ones, outside of a span of rows; exact however long the span is.

    The distance is Euclidean, in units of `scale` [d]. The library's distances come from a matrix product, which rounds
    where states are close: it proposes more candidates than are needed, and exact distances choose among them. Of
    states at equal distance the earlier ones are nearer, unless there are more of them than candidates.
    """

    def __init__(self, states: np.ndarray, scale: np.ndarray | None = None):
        self._states = states
        self._scale = np.ones(states.shape[1]) if scale is None else scale
        searched = states.astype(np.promote_types(states.dtype, np.float32), copy=False)
        self._searched = searched if scale is None else searched / scale.astype(searched.dtype)
        self._everywhere = _library_search(self._searched, tree=states.shape[1] <= _LARGEST_TREE_WIDTH)

    def find(self, queries: np.ndarray, excluded: tuple[np.ndarray, np.ndarray], count: int) -> np.ndarray:
        """The `count` rows nearest to each of the rows `queries`, nearest first, [q, count].

        None is in the query's span, from row excluded[0] up to row excluded[1] ([q] each), outside of which there must
        be `count` rows. A progress bar is shown on a terminal if this takes more than two seconds.
        """
        found = np.full((len(queries), count), -1)
        longest = int((excluded[1] - excluded[0]).max())
        candidates = 2 * count + 1 + min(longest, _SPARE_CANDIDATES * count)
        with tqdm(total=len(queries), **_SHOWN) as bar:
            for first in range(0, len(queries), _BLOCK_QUERIES):
                block = slice(first, first + _BLOCK_QUERIES)
                span = excluded[0][block, None], excluded[1][block, None]
                enough, rows = self._among_all(queries[block], span, candidates, count)
                found[block][enough] = rows
                bar.update(len(rows))
            left = np.flatnonzero(found[:, 0] < 0)
            for start, stop in sorted(set(zip(excluded[0][left], excluded[1][left], strict=True))):
                these = left[(excluded[0][left] == start) & (excluded[1][left] == stop)]
                found[these] = self._around(queries[these], start, stop, count)
                bar.update(len(these))
        return found

    def _among_all(
        self, queries: np.ndarray, span: tuple[np.ndarray, np.ndarray], candidates: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which queries have `count` rows outside of their spans among the nearest `candidates`, and those rows."""
        rows = self._propose(self._everywhere, queries, candidates)
        inside = (rows >= span[0]) & (rows < span[1])
        enough = (~inside).sum(axis=1) >= count
        first_outside = np.argsort(inside, axis=1, kind="stable")[enough, : 2 * count + 1]
        rows = np.take_along_axis(rows[enough], first_outside, axis=1)
        inside = np.take_along_axis(inside[enough], first_outside, axis=1)
        return enough, self._closest(queries[enough], rows, inside, count)

    def _around(self, queries: np.ndarray, start: int, stop: int, count: int) -> np.ndarray:
        """Search what lies before and what lies after one span that all queries share."""
        rows = []
        for first, part in ((0, self._searched[:start]), (stop, self._searched[stop:])):
            if len(part):
                rows.append(first + self._propose(_library_search(part, tree=False), queries, 2 * count + 1))
        rows = np.concatenate(rows, axis=1)
        return self._closest(queries, rows, np.zeros(rows.shape, bool), count)

    def _propose(self, search: "NearestNeighbors", queries: np.ndarray, candidates: int) -> np.ndarray:
        candidates = min(candidates, search.n_samples_fit_)
        return search.kneighbors(self._searched[queries], candidates, return_distance=False)

    def _closest(self, queries: np.ndarray, rows: np.ndarray, inside: np.ndarray, count: int) -> np.ndarray:
        """Of candidate rows [q, c] those `count` that are closest by exact distance and not inside of the span."""
        order = np.argsort(rows, axis=1)
        rows, inside = np.take_along_axis(rows, order, axis=1), np.take_along_axis(inside, order, axis=1)
        differences = (self._states[rows].astype(np.float64) - self._states[queries, None]) / self._scale
        squares = np.where(inside, np.inf, (differences**2).sum(axis=2))
        nearest = np.argsort(squares, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(rows, nearest, axis=1)


def _library_search(states: np.ndarray, *, tree: bool) -> "NearestNeighbors":
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(algorithm="kd_tree" if tree else "brute").fit(states)
