"""Kernel Inception Distance."""

import numpy as np


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
