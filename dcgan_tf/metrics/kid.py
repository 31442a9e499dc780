"""Kernel Inception Distance."""

import numpy as np


def kernel_distance(
    first: np.ndarray,
    second: np.ndarray,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float | None]:
    """Kernel Inception Distance: unbiased squared MMD with the kernel (x.y / d + 1)^3.

    Bińkowski et al. 2018, "Demystifying MMD GANs": the mean over random subsets of the features
    [n, d], each drawn without replacement. It is unbiased, so single values can be negative. If one
    subset holds both sides whole, there is just that one.

    The standard deviation is over subsets of at most half of either side, because larger ones hold
    nearly the same images each time. With the mean over all images, this is the delete-half
    jackknife's estimate of its error.

    Returns:
        (mean, standard deviation); the latter is None below four samples a side.
    """
    fewest = min(len(first), len(second))
    if fewest < 2:
        raise ValueError(f"{len(first)} and {len(second)} samples; each side needs at least 2")
    size, spread_size = subset_sizes(fewest, subset_size)
    draws = 1 if size == len(first) == len(second) else subsets
    values = _of_subsets(first, second, size, draws, seed)
    if spread_size is None:
        return float(np.mean(values)), None
    same = spread_size == size
    spread = values if same else _of_subsets(first, second, spread_size, subsets, seed)
    return float(np.mean(values)), float(np.std(spread))


def subset_sizes(fewest: int, subset_size: int = 1000) -> tuple[int, int | None]:
    """Samples in each subset for the mean, and for the standard deviation (None: too few)."""
    half = fewest // 2
    return min(subset_size, fewest), min(subset_size, half) if half >= 2 else None


def _of_subsets(first: np.ndarray, second: np.ndarray, size: int, subsets: int, seed: int):
    random = np.random.default_rng(seed)
    values = []
    for _ in range(subsets):
        x = first[np.sort(random.choice(len(first), size, replace=False))].astype(np.float64)
        y = second[np.sort(random.choice(len(second), size, replace=False))].astype(np.float64)
        k_xx, k_yy, k_xy = _cubic_kernel(x, x), _cubic_kernel(y, y), _cubic_kernel(x, y)
        within = k_xx.sum() - k_xx.trace() + k_yy.sum() - k_yy.trace()
        values.append(within / (size * (size - 1)) - 2 * k_xy.mean())
    return values


def _cubic_kernel(x: np.ndarray, y: np.ndarray):
    return (x @ y.T / x.shape[1] + 1) ** 3
