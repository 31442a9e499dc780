"""Streaming feature statistics and the Fréchet distance in float64 NumPy."""

import numpy as np

# Rounding in 2,048 dimensions reaches about 1e-13 of tr S1 + tr S2. Below this fraction a
# covariance term says nothing, so it is 0; the promised accuracy is 1e-8.
COVARIANCE_RESOLUTION = 1e-10


class FeatureStatistics:
    """Count, mean and centered second moment of a stream of features, in float64.

    The second moment is kept as a factor F with F.T @ F = sum (x - mean)(x - mean).T, updated by QR
    (Chan, Golub and LeVeque 1983 give the step for the mean). Unlike the moment itself, the factor
    loses no digits to squaring, and is exact for fewer samples than dimensions. It has at most
    3 x dimensions rows.
    """

    def __init__(self):
        self.count, self.mean, self._rows = 0, np.zeros(0), []

    def update(self, features: np.ndarray) -> None:
        """Add features [n, dimensions] of any float type; ValueError if one is NaN or infinite."""
        if not np.isfinite(features).all():
            raise ValueError("features contain NaN or infinity")
        if not len(features):
            return
        exact = features.astype(np.float64)
        mean = exact.mean(axis=0)
        total = self.count + len(exact)
        before = self.mean if self.count else np.zeros_like(mean)
        shift = mean - before
        # The row that the difference of the two means adds to the second moment.
        between = shift * np.sqrt(self.count * len(exact) / total)
        self._rows += [exact - mean, between[None]]
        self.mean = before + shift * (len(exact) / total)
        self.count = total
        if sum(map(len, self._rows)) > 3 * len(mean):
            self._rows = [self.centered_factor]

    @property
    def centered_factor(self) -> np.ndarray:
        """F, float64 [rows, dimensions], with F.T @ F = sum (x - mean)(x - mean).T."""
        rows = np.concatenate(self._rows)
        return rows if len(rows) <= rows.shape[1] else np.asarray(np.linalg.qr(rows, mode="r"))

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance, float64 [dimensions, dimensions]. Needs two samples."""
        factor = self.centered_factor
        return factor.T @ factor / (self.count - 1)

    @classmethod
    def restore(cls, count: int, mean: np.ndarray, factor: np.ndarray) -> "FeatureStatistics":
        """Return the statistics that had this count, mean and centered factor, exactly."""
        statistics = cls()
        statistics.count, statistics.mean = int(count), np.asarray(mean, np.float64)
        statistics._rows = [np.asarray(factor, np.float64)]
        return statistics


def bias_warning(first: FeatureStatistics, second: FeatureStatistics) -> str | None:
    """Say why the Fréchet distance is biased, None if both sides have enough samples."""
    count, dimensions = min(first.count, second.count), len(first.mean)
    if count >= dimensions:
        return None
    return (
        f"{count} samples in {dimensions} dimensions: the covariance has rank {count - 1} at most "
        f"and misses {dimensions - count + 1} directions, so the Fréchet distance is too high by "
        "an amount that depends on the count; compare it only at the same count, or use KID."
    )


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Squared Fréchet distance of two Gaussians fitted to features; FID if they are Inception's.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2) (Dowson and Landau 1982; Heusel et al. 2017).
    With S = F.T F / (n - 1), the eigenvalues of S1 S2 are the squared singular values of F1 F2.T,
    so the last trace is the nuclear norm of F1 F2.T / sqrt((n1 - 1)(n2 - 1)). This keeps full
    accuracy for covariances without full rank, where a matrix square root loses it. For the bias
    with few samples see `bias_warning`.
    """
    if min(first.count, second.count) < 2:
        raise ValueError(f"{first.count} and {second.count} samples; each side needs at least 2")
    factor_1 = first.centered_factor / np.sqrt(first.count - 1)
    factor_2 = second.centered_factor / np.sqrt(second.count - 1)
    traces = np.sum(factor_1**2) + np.sum(factor_2**2)
    nuclear_norm = np.linalg.svd(factor_1 @ factor_2.T, compute_uv=False).sum()
    # For (nearly) equal covariances only rounding is left; equal sets give exactly 0.
    covariance_term = traces - 2 * nuclear_norm
    if covariance_term < COVARIANCE_RESOLUTION * traces:
        covariance_term = 0.0
    return float(np.sum((first.mean - second.mean) ** 2) + covariance_term)
