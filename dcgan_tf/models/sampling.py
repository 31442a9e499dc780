"""Latents to pictures: the same seed and the same generator always give the same picture."""

import functools
import hashlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common.errors import UserError
from dcgan_tf.models.forward import infer
from dcgan_tf.models.pixels import range_of, to_uint8

CHUNK = 32  # every pass through G has this many, so that a picture never depends on its company


def seed_latents(seeds: Iterable[int], length: int) -> np.ndarray:
    """One standard normal latent for each seed.

    Args:
        seeds: ints, 0..2**32-1.
        length: numbers per latent.

    Returns:
        float32 (number of seeds, length): row k is `numpy.random.RandomState(seed).randn(length)`,
        a stream that NumPy keeps frozen.
    """
    seeds = list(seeds)
    latents = np.empty((len(seeds), length), np.float32)
    stream = np.random.RandomState()  # one for all: a new one takes ten times as long
    for row, seed in zip(latents, seeds, strict=True):
        stream.seed(seed)
        row[:] = stream.randn(length)
    return latents


def slerp(start: np.ndarray, end: np.ndarray, t: float) -> np.ndarray:
    """Spherical interpolation (Shoemake 1985), which stays where normal latents lie.

    Args:
        start, end: float (length,).
        t: 0..1.

    Returns:
        float32 (length,): `start` at 0, `end` at 1.
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    cosine = np.dot(start, end) / max(np.linalg.norm(start) * np.linalg.norm(end), 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:  # parallel: the limit is the straight line
        return ((1 - t) * start + t * end).astype(np.float32)
    mixed = np.sin((1 - t) * angle) * start + np.sin(t * angle) * end
    return (mixed / np.sin(angle)).astype(np.float32)


def finite(latents) -> np.ndarray:
    """Latents as float32.

    Args:
        latents: real numbers, of any shape.

    Raises:
        ValueError: they are complex, dates, objects or text; NaN, infinite or beyond float32.
    """
    latents = np.asarray(latents)
    if latents.dtype.kind not in "fiu":
        raise ValueError(f"got {latents.dtype}, expected real numbers")
    with np.errstate(over="ignore"):
        latents = latents.astype(np.float32)
    if not np.isfinite(latents).all():
        raise ValueError("got values that are NaN, infinite or beyond float32")
    return latents


class Sampler:
    """Draws pictures from a generator in inference mode (BatchNorm's moving statistics).

    Args:
        model: keras.Model that ends in a sigmoid or a tanh.
        strict: whether a model that fails or makes NaN is a UserError; without it Keras' error, or
            pixels that mean nothing.
        chunk: latents of each pass through the model. Passes of another size differ by rounding.

    Attributes:
        model: as given.
        latent_dim: int, numbers per latent.
        picture_shape: (height, width, channels).

    Raises:
        UserError: the model ends in something else.
    """

    def __init__(self, model: keras.Model, strict: bool = False, chunk: int = CHUNK):
        self.model = model
        self.latent_dim = int(model.inputs[0].shape[-1])
        self.picture_shape = tuple(model.outputs[0].shape[1:])
        self._strict, self._chunk = strict, chunk
        self._range = range_of(model)
        # No lambda: TensorFlow counts calls by code, and would warn of several samplers' tracing.
        self._forward = tf.function(functools.partial(infer, model), autograph=False)

    @functools.cached_property
    def sha256(self) -> str:
        """The model's `weights_sha256`, as it was when it was first asked for."""
        return weights_sha256(self.model)

    def generate(self, seeds: Iterable[int] | None = None, latents=None) -> np.ndarray:
        """The pictures of these seeds or of these latents.

        Args:
            seeds: ints, 0..2**32-1, such as `range(64)` or `[7]`; picture k is the same whatever
                comes with it.
            latents: real numbers (n, latent_dim), instead.

        Returns:
            uint8 (n, height, width, channels), ready for `PIL.Image.fromarray` (of grey pictures
            [..., 0]), whatever the range of the model.

        Raises:
            ValueError: not one of the two, or latents of another shape, kind or range.
            UserError: the model fails or makes NaN.
        """
        if (seeds is None) == (latents is None):
            raise ValueError("expected seeds or latents, one of the two")
        latents = finite(seed_latents(seeds, self.latent_dim) if latents is None else latents)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"got latents {latents.shape}, expected (n, {self.latent_dim})")
        return self.array(latents)

    def pictures(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the picture of each latent, in order, in bounded memory.

        Args:
            latents: float (n, latent_dim).

        Yields:
            uint8 (height, width, channels).
        """
        for start in range(0, len(latents), self._chunk):
            part = np.asarray(latents[start : start + self._chunk], np.float32)
            padded = np.zeros((self._chunk, self.latent_dim), np.float32)
            padded[: len(part)] = part
            yield from to_uint8(self._values(padded)[: len(part)], self._range)

    def array(self, latents: np.ndarray) -> np.ndarray:
        """uint8 (n, height, width, channels): all pictures at once, for a grid."""
        pictures = np.empty((len(latents), *self.picture_shape), np.uint8)
        for index, picture in enumerate(self.pictures(latents)):
            pictures[index] = picture
        return pictures

    def _values(self, latents):
        """float (chunk, height, width, channels): what the model gives."""
        if not self._strict:
            return self._forward(tf.constant(latents)).numpy()
        try:
            values = self._forward(tf.constant(latents)).numpy()
        except (tf.errors.OpError, ValueError, TypeError) as error:
            text = " ".join(str(error).split())[:200]
            raise UserError(f"the generator cannot be run on this machine ({text})") from None
        if not np.isfinite(values).all():
            raise UserError(
                "the generator makes NaN or infinite pixels of these latents; "
                "take smaller ones, or a generator from earlier in its training"
            )
        return values


def weights_sha256(model: keras.Model) -> str:
    """SHA-256 over the float32 weights in order (two saves of one model differ as files)."""
    sha256 = hashlib.sha256()
    for weight in model.get_weights():
        sha256.update(np.ascontiguousarray(weight, np.float32).tobytes())
    return sha256.hexdigest()
