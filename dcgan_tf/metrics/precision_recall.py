"""Improved precision and recall."""

import numpy as np

from dcgan_tf.metrics.neighbours import distance_tiles


def precision_recall(
    real: np.ndarray, fake: np.ndarray, neighbours: int = 3
) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, algorithm 1).

    Precision is the fraction of `fake` features [n, d] that lie inside a ball around a `real` one,
    whose radius is the distance to its k-th nearest other real feature, k = `neighbours`; a point
    on the surface is inside. Recall is the same with both sides exchanged.

    Returns (precision, recall). Raises ValueError unless each side has more than k samples.
    """
    if min(len(real), len(fake)) <= neighbours:
        raise ValueError(
            f"{len(real)} and {len(fake)} samples; each side needs more than {neighbours}"
        )
    real_radii, fake_radii = (_radii_squared(side, neighbours) for side in (real, fake))
    fake_inside, real_inside = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, columns, distances, rounding in distance_tiles(real, fake):
        # Points equal to a neighbor lie exactly on a surface: rounding must not decide.
        distances -= rounding
        fake_inside[columns] |= (distances <= real_radii[rows, None]).any(axis=0)
        real_inside[rows] |= (distances <= fake_radii[columns]).any(axis=1)
    return float(fake_inside.mean()), float(real_inside.mean())


def _radii_squared(features: np.ndarray, neighbours: int):
    """Squared distance of each feature to its k-th nearest other feature, float64 [n]."""
    nearest = np.full((len(features), neighbours), np.inf)
    for rows, columns, distances, _ in distance_tiles(features, features):
        if rows == columns:
            np.fill_diagonal(distances, np.inf)
        candidates = np.concatenate([nearest[rows], distances], axis=1)
        nearest[rows] = np.partition(candidates, neighbours - 1, axis=1)[:, :neighbours]
    return nearest.max(axis=1)
