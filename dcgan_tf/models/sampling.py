"""Latents to pictures: the same seed and the same generator always give the same picture."""

import hashlib

import numpy as np
import tensorflow as tf

from dcgan_tf.models.pixels import to_uint8

CHUNK = 32  # every pass through G has this many, so that a picture never depends on its company


def seed_latents(seeds, length):
    """One standard normal latent for each seed.

    Args:
        seeds: ints, 0..2**32-1.
        length: numbers per latent.

    Returns:
        float32 (len(seeds), length): row k is `numpy.random.RandomState(seed).randn(length)`, a
        stream that NumPy keeps frozen.
    """
    rows = [np.random.RandomState(seed).randn(length) for seed in seeds]
    return np.array(rows, np.float32).reshape(len(rows), length)


def slerp(start, end, t):
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


class Sampler:
    """Draws pictures from a generator in inference mode (BatchNorm's moving statistics).

    Args:
        generator: keras.Model that ends in a sigmoid or a tanh.

    Attributes:
        latent_dim: int.
    """

    def __init__(self, generator):
        self.latent_dim = generator.input_shape[-1]
        self._activation = generator.layers[-1].activation.__name__
        self._forward = tf.function(lambda latents: generator(latents, training=False))

    def pictures(self, latents):
        """Yield the picture of each latent, in order, in bounded memory.

        Args:
            latents: float (n, latent_dim).

        Yields:
            uint8 (height, width, channels).
        """
        for start in range(0, len(latents), CHUNK):
            part = np.asarray(latents[start : start + CHUNK], np.float32)
            padded = np.zeros((CHUNK, self.latent_dim), np.float32)
            padded[: len(part)] = part
            values = self._forward(tf.constant(padded)).numpy()
            yield from to_uint8(values[: len(part)], self._activation)

    def array(self, latents):
        """uint8 (n, height, width, channels): all pictures at once, for a grid."""
        return np.stack(list(self.pictures(latents)))


def weights_sha256(model):
    """str: SHA-256 over the float32 weights in order (two saves of one model differ as files)."""
    sha256 = hashlib.sha256()
    for weight in model.get_weights():
        sha256.update(np.ascontiguousarray(weight, np.float32).tobytes())
    return sha256.hexdigest()
