"""Directions without labels, in closed form: SeFa and GANSpace."""

import keras
import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.directions.traversal import Direction, hold_labels, measure_reach
from dcgan_tf.models.chain import chain_of, layers_of
from dcgan_tf.models.sampling import Sampler, compiled, in_batches

SAMPLES = 1024  # latents whose first maps give the principal components
_BATCH = 256  # maps computed at once


def find_unlabeled(sampler: Sampler, count: int) -> list[Direction]:
    """Find `count` directions by SeFa and as many by GANSpace, at most one per normal number.

    They move the normal numbers of a latent alone: an image keeps its label.
    """
    length = sampler.normal_dim
    if length > SAMPLES // 2:  # a regression on more needs more samples
        raise UserError(f"has latents of {length:,} numbers, expected {SAMPLES // 2:,} at most")
    count = min(count, length)
    latents = sampler.latents(range(SAMPLES))
    maps = hold_labels(first_maps(sampler.model, latents), latents, sampler)
    kinds = {
        "kernel": sefa(first_kernel(sampler.model)[:length], count),
        "component": ganspace(maps, latents[:, :length], count),
    }
    found = []
    with progress(2 * count, "measuring reach", "directions") as bar:
        for kind, (vectors, shares) in kinds.items():
            vectors = np.pad(vectors, ((0, 0), (0, sampler.latent_dim - length)))
            for number, (vector, share) in enumerate(zip(vectors, shares, strict=True), 1):
                reach, facts = measure_reach(sampler, vector), {"share": round(float(share), 6)}
                found.append(Direction(f"{kind} {number}", kind, vector, reach, facts))
                bar.update()
    return found


def sefa(kernel: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the latent directions along which the first layer's output changes most.

    SeFa (Shen & Zhou 2021, arXiv 2007.06600): for the kernel W (latent_dim, units) and unit
    vectors d, |d W|^2 is stationary at the eigenvectors of W W^T, where it is the eigenvalue.

    Returns:
        float32 (count, latent_dim), of length 1, the strongest first; and float (count,), each
        eigenvalue as a fraction of their sum.
    """
    kernel = np.asarray(kernel, np.float64)
    shares, vectors = _strongest(kernel @ kernel.T, count)
    return _normalize(vectors), shares


def ganspace(maps: np.ndarray, latents: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the latent directions that move the maps along their principal components.

    As GANSpace (Härkönen et al. 2020, arXiv 2004.02546) does where the layer is not the latent
    itself: principal components of the maps, then a linear regression between each component's
    coordinate and the latent. For maps linear in the latent, the directions are those of `sefa`.

    Args:
        maps: float32 (n, size of a map), centered in place.
        latents: float (n, latent_dim), with n above latent_dim.

    Returns:
        As `sefa`, with each component's fraction of the variance.
    """
    maps -= maps.mean(axis=0)
    shares, coordinates = _strongest((maps @ maps.T).astype(np.float64), count)
    centered = latents - latents.mean(axis=0, dtype=np.float64)
    slopes = np.linalg.lstsq(centered, coordinates.T, rcond=None)[0].T
    return _normalize(slopes), shares


def _strongest(matrix, count):
    """The shares of the largest eigenvalues of a symmetric matrix, and their eigenvectors."""
    values, vectors = np.linalg.eigh(matrix)
    values = np.maximum(values[::-1], 0)
    return values[:count] / max(values.sum(), 1e-300), vectors.T[::-1][:count]


def _normalize(vectors):
    """Scale to length 1, float32, with the largest entry positive, because signs are arbitrary."""
    largest = np.abs(vectors).argmax(axis=1)[:, None]
    vectors = vectors * np.sign(np.take_along_axis(vectors, largest, axis=1))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def first_kernel(generator: keras.Model) -> np.ndarray:
    """Return the matrix that a generator multiplies a latent with, float64 (latent_dim, units)."""
    layer = next((each for each in layers_of(generator) if hasattr(each, "kernel")), None)
    length = generator.inputs[0].shape[-1]
    if not isinstance(layer, keras.layers.Dense) or np.shape(layer.kernel)[0] != length:
        found = f"{layer.name!r} ({type(layer).__name__})" if layer is not None else "none"
        raise UserError(
            f"its first layer with weights is {found}, expected a Dense of {length} inputs, the "
            "latent; directions need a generator that begins with one"
        )
    return np.asarray(layer.kernel, np.float64)


def first_maps(generator: keras.Model, latents: np.ndarray) -> np.ndarray:
    """Compute the maps after the first activation, float32 (n, map size), in inference mode."""
    chain = chain_of(generator)
    layers = chain or generator.layers
    first = next((index for index, each in enumerate(layers[:-1]) if _activates(each)), None)
    if first is None:
        raise UserError("has no activation before its image, so there is no first map")
    end = keras.layers.Flatten()
    if chain:  # also of nested networks, whose layers are not connected to the latents
        z = keras.Input(generator.inputs[0].shape[1:])
        network = keras.Sequential([z, *layers[: first + 1], end])
    else:
        network = keras.Model(generator.input, end(layers[first].output))
    return np.concatenate(list(in_batches(compiled(network), latents, _BATCH)))


def _activates(layer):
    kinds = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return isinstance(layer, kinds) or name not in ("linear", None)
