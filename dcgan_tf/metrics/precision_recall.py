"""The mathematics of the other scores: KID, Inception Score, precision and recall, neighbours.

Float64 numpy on features [samples, dimensions]; no network, no files, no TensorFlow. Everything
works in blocks, so memory never grows with samples x samples.
"""

import numpy as np

BLOCK_ROWS = 1024


def kernel_distance(first, second, subsets=100, subset_size=1000, seed=0):
    """Kernel Inception Distance: unbiased squared MMD with the kernel (x.y / d + 1)^3.

    Bińkowski et al. 2018, "Demystifying MMD GANs": the mean over random subsets, each drawn
    without replacement. Unbiased, so equal distributions average 0 and single values can be
    negative. `first` and `second` are features [n, d]; subsets are no larger than either
    (and where one subset holds both sets whole there is just that one, with std 0).

    Returns (mean, std over subsets). Raises ValueError below two samples.
    """
    size = min(subset_size, len(first), len(second))
    if size < 2:
        raise ValueError(f"{len(first)} and {len(second)} samples; each side needs at least 2")
    if size == len(first) == len(second):
        subsets = 1
    random = np.random.default_rng(seed)
    values = []
    for _ in range(subsets):
        x = first[np.sort(random.choice(len(first), size, replace=False))].astype(np.float64)
        y = second[np.sort(random.choice(len(second), size, replace=False))].astype(np.float64)
        k_xx, k_yy, k_xy = _cubic_kernel(x, x), _cubic_kernel(y, y), _cubic_kernel(x, y)
        within = k_xx.sum() - k_xx.trace() + k_yy.sum() - k_yy.trace()
        values.append(within / (size * (size - 1)) - 2 * k_xy.mean())
    return float(np.mean(values)), float(np.std(values))


def _cubic_kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def softmax(logits):
    """Class probabilities, float64 [n, classes], from logits [n, classes]."""
    exponentials = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def inception_score(probabilities, splits=10):
    """Inception Score: exp of the mean of KL(p(y|x) || p(y)), over consecutive splits.

    Salimans et al. 2016, "Improved Techniques for Training GANs", section 4, with the splits of
    their code: part i is [i n // splits, (i + 1) n // splits). 1 for equal rows, the number of
    classes for certain predictions spread over all of them.

    `probabilities` are [n, classes] with rows that sum to 1. Returns (mean, std over splits).
    Raises ValueError where there are fewer rows than splits.
    """
    count = len(probabilities)
    if count < splits:
        raise ValueError(f"{count} samples cannot make {splits} splits")
    scores = []
    for i in range(splits):
        rows = np.asarray(probabilities[i * count // splits : (i + 1) * count // splits], float)
        # KL(p(y|x) || p(y)) averaged over x is H(y) - H(y|x).
        scores.append(np.exp(_entropy(rows.mean(axis=0)) - _entropy(rows).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def _entropy(probabilities):
    # 0 log 0 = 0: the logarithm is taken of 1 there.
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return -(probabilities * logarithms).sum(axis=-1)


def precision_recall(real, fake, neighbours=3):
    """Improved precision and recall (Kynkäänniemi et al. 2019, algorithm 1).

    Precision is the fraction of `fake` inside any ball around a `real` feature with the distance
    to its k-th nearest other real feature as radius; recall the same the other way round. A point
    on a ball's surface is inside. Features are [n, d]; k is `neighbours`.

    Returns (precision, recall). Raises ValueError unless each side has more than k samples.
    """
    if min(len(real), len(fake)) <= neighbours:
        raise ValueError(
            f"{len(real)} and {len(fake)} samples; each side needs more than {neighbours}"
        )
    real_radii, fake_radii = (_radii_squared(side, neighbours) for side in (real, fake))
    fake_inside, real_inside = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, columns, distances, rounding in _distance_tiles(real, fake):
        # Points that coincide with a neighbour lie exactly on a surface: rounding may not decide.
        distances -= rounding
        fake_inside[columns] |= (distances <= real_radii[rows, None]).any(axis=0)
        real_inside[rows] |= (distances <= fake_radii[columns]).any(axis=1)
    return float(fake_inside.mean()), float(real_inside.mean())


def _radii_squared(features, neighbours):
    """Squared distance of each feature to its k-th nearest other feature, float64 [n]."""
    nearest = np.full((len(features), neighbours), np.inf)
    for rows, columns, distances, _ in _distance_tiles(features, features):
        if rows == columns:
            np.fill_diagonal(distances, np.inf)
        candidates = np.concatenate([nearest[rows], distances], axis=1)
        nearest[rows] = np.partition(candidates, neighbours - 1, axis=1)[:, :neighbours]
    return nearest.max(axis=1)


def nearest_neighbours(queries, references):
    """The nearest of `references` [m, d] to each of `queries` [n, d], by Euclidean distance.

    Any numeric type, also memory-mapped: only blocks are converted to float64. Returns
    (distances float64 [n], indices int64 [n]); where references are equally near, the first.
    """
    nearest = np.full(len(queries), np.inf)
    indices = np.zeros(len(queries), np.int64)
    for rows, columns, distances, _ in _distance_tiles(queries, references):
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


def _distance_tiles(first, second):
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
