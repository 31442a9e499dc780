"""Nearest neighbors by Euclidean distance, in blocks of bounded memory."""

from collections.abc import Iterator

import numpy as np

BLOCK_ROWS = 1024


def nearest_neighbours(
    queries: np.ndarray, references: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest of `references` [m, d] to each of `queries` [n, d].

    Both have any numeric type and may be memory-mapped. Returns (distances float64 [n], indices
    int64 [n]); of equally near references, the first.
    """
    nearest = np.full(len(queries), np.inf)
    indices = np.zeros(len(queries), np.int64)
    for rows, columns, distances, _ in distance_tiles(queries, references):
        best = distances.argmin(axis=1)
        smallest = distances[np.arange(len(best)), best]
        better = smallest < nearest[rows]
        nearest[rows][better] = smallest[better]
        indices[rows][better] = best[better] + columns.start
    # The tiles round near zero; the distance of the chosen pair is computed directly.
    for start in range(0, len(queries), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        pairs = queries[rows].astype(np.float64) - references[indices[rows]]
        nearest[rows] = np.sqrt(np.sum(pairs**2, axis=1))
    return nearest, indices


def distance_tiles(
    first: np.ndarray, second: np.ndarray
) -> Iterator[tuple[slice, slice, np.ndarray, float]]:
    """Yield (rows, columns, squared distances, rounding bound) over blocks of both sets."""
    for i in range(0, len(first), BLOCK_ROWS):
        x = first[i : i + BLOCK_ROWS].astype(np.float64)
        x_norms = np.sum(x**2, axis=1)
        for j in range(0, len(second), BLOCK_ROWS):
            y = second[j : j + BLOCK_ROWS].astype(np.float64)
            y_norms = np.sum(y**2, axis=1)
            squared = np.maximum(x_norms[:, None] + y_norms - 2 * (x @ y.T), 0)
            rounding = 1e-12 * (x_norms.max() + y_norms.max())
            yield slice(i, i + len(x)), slice(j, j + len(y)), squared, rounding
