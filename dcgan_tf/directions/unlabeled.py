"""Directions without labels, in closed form (SeFa, GANSpace)."""

import numpy as np


def of_kernel(kernel: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The latent directions along which the first layer's output changes most.

    SeFa (Shen & Zhou 2021, arXiv 2007.06600): |d W| over unit d is stationary at the eigenvectors
    of W W^T, and its square is the eigenvalue.

    Args:
        kernel: float (latent_dim, units), W; count: how many, latent_dim at most.

    Returns:
        float32 (count, latent_dim), of length 1, the strongest first; and the share of each in
        the sum of all eigenvalues, float (count,).
    """
    kernel = np.asarray(kernel, np.float64)
    values, vectors = np.linalg.eigh(kernel @ kernel.T)
    values, vectors = np.maximum(values[::-1], 0), vectors.T[::-1]
    return _signed(vectors[:count]), values[:count] / max(values.sum(), 1e-300)


def of_maps(maps: np.ndarray, latents: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The latent directions that move the maps along their principal components.

    As GANSpace (Härkönen et al. 2020, arXiv 2004.02546) does where the layer is not the latent
    itself: principal components of the maps, then a linear regression between each component's
    coordinate and the latent. Of maps that are linear in the latent they are those of `of_kernel`.

    Args:
        maps: float32 (n, numbers of a map), changed: centred in place; latents: float
            (n, latent_dim), with n above latent_dim; count: how many, latent_dim at most.

    Returns:
        float32 (count, latent_dim), of length 1; and the share of each component in the variance
        of the maps, float (count,).
    """
    maps -= maps.mean(axis=0)
    values, coordinates = np.linalg.eigh((maps @ maps.T).astype(np.float64))
    values, coordinates = np.maximum(values[::-1], 0), coordinates[:, ::-1][:, :count]
    centred = latents - latents.mean(axis=0, dtype=np.float64)
    slopes = np.linalg.lstsq(centred, coordinates, rcond=None)[0].T
    return _signed(slopes), values[:count] / max(values.sum(), 1e-300)


def _signed(vectors):
    """float32: of length 1, their largest number positive, so that chance turns none."""
    largest = np.abs(vectors).argmax(axis=1)[:, None]
    vectors = vectors * np.sign(np.take_along_axis(vectors, largest, axis=1))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
