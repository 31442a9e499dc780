"""Generate images from latents: the same seed always gives the same image."""

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.images import grid
from dcgan_tf.common.labels import labels_of
from dcgan_tf.models.forward import forward
from dcgan_tf.models.pixels import range_of, to_uint8

CHUNK = 32  # size of every pass through G, so that an image never depends on the others


def seed_latents(seeds: Iterable[int], length: int) -> np.ndarray:
    """Draw a standard normal latent for each seed (0 to 2**32-1), float32 (n, length).

    Row k is `numpy.random.RandomState(seed).randn(length)`, a stream that NumPy keeps frozen.
    """
    seeds = list(seeds)
    latents = np.empty((len(seeds), length), np.float32)
    stream = np.random.RandomState()  # reseeded for each: a new one takes ten times as long
    for row, seed in zip(latents, seeds, strict=True):
        stream.seed(seed)
        row[:] = stream.randn(length)
    return latents


def slerp(start: np.ndarray, end: np.ndarray, t: float) -> np.ndarray:
    """Interpolate spherically (Shoemake 1985) between latents (length,): `start` at t = 0.

    A straight line passes nearer to 0, where G's images lose contrast.
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    cosine = np.dot(start, end) / max(np.linalg.norm(start) * np.linalg.norm(end), 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:  # parallel: the limit is the straight line
        return ((1 - t) * start + t * end).astype(np.float32)
    mixed = np.sin((1 - t) * angle) * start + np.sin(t * angle) * end
    return (mixed / np.sin(angle)).astype(np.float32)


def finite(latents: Any) -> np.ndarray:
    """Convert latents to float32; ValueError unless they are finite real numbers."""
    latents = np.asarray(latents)
    if latents.dtype.kind not in "fiu":
        raise ValueError(f"got {latents.dtype}, expected real numbers")
    with np.errstate(over="ignore"):
        latents = latents.astype(np.float32)
    if not np.isfinite(latents).all():
        raise ValueError("got values that are NaN, infinite or beyond float32")
    return latents


def compiled(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compile a network in inference mode to one graph."""
    # No lambda: TensorFlow counts traces per code object, and would warn after several networks.
    return tf.function(functools.partial(forward, network, training=False), autograph=False)


def in_batches(
    function: Callable[[tf.Tensor], Any], inputs: np.ndarray, size: int
) -> Iterator[np.ndarray]:
    """Yield the outputs of a function from `compiled` for `size` inputs at a time.

    The last batch is padded with zeros, so the function is compiled once, and the output for an
    input does not depend on the others.
    """
    for start in range(0, len(inputs), size):
        part = np.asarray(inputs[start : start + size])
        batch = np.zeros((size, *part.shape[1:]), np.float32)
        batch[: len(part)] = part
        yield np.asarray(function(tf.constant(batch)))[: len(part)]


class Sampler:
    """Generate images with a network in inference mode (BatchNorm's moving statistics).

    Args:
        model: generator that ends in a sigmoid or a tanh; its attribute `labels`, if it has one,
            says what its images can be asked for.
        strict: raise UserError if the model fails or returns NaN.
        chunk: latents per pass through the model. Passes of another size differ by rounding.
    """

    def __init__(self, model: keras.Model, strict: bool = False, chunk: int = CHUNK):
        self.model = model
        self.labels = labels_of(model)
        self.latent_dim = int(model.inputs[0].shape[-1])
        # The normal numbers that a latent begins with; the label of its image comes after them.
        self.normal_dim = self.latent_dim - (self.labels.n if self.labels else 0)
        self.picture_shape = tuple(model.outputs[0].shape[1:])
        self._strict, self._chunk = strict, chunk
        self._range = range_of(model)
        self._forward = compiled(model)

    @functools.cached_property
    def sha256(self) -> str:
        return weights_sha256(self.model)

    def latents(self, seeds: Iterable[int], label: Any = None) -> np.ndarray:
        """Make the latents of seeds, float32 (n, latent_dim); for `label` see `generate`."""
        seeds = list(seeds)
        if not self.labels:
            if label is not None:
                raise UserError("this generator was trained without labels", param="label")
            return seed_latents(seeds, self.latent_dim)
        own = seed_latents(seeds, self.normal_dim)
        return np.concatenate([own, self.labels.tails(seeds, label)], axis=1)

    def grid(self, count: int) -> tuple[np.ndarray, dict[str, str]]:
        """Generate a grid of `count` images and its text keys; each class has a row of it."""
        if not (self.labels and self.labels.classes):
            return grid(self.array(self.latents(range(count)))), {"seeds": f"0-{count - 1}"}
        seeds, names = range(max(count // self.labels.n, 1)), self.labels.names[:count]
        latents = np.concatenate([self.latents(seeds, name) for name in names])
        text = {"seeds": f"0-{seeds[-1]}", "rows": ",".join(names)}
        return grid(self.array(latents), len(seeds)), text

    def factor(self, truncation: float) -> Any:
        """The factor on latents for a truncation: 1 for the labels at their end."""
        if not self.labels:
            return truncation
        counts = [self.normal_dim, self.labels.n]
        return np.repeat(np.array([truncation, 1], np.float32), counts)

    def generate(
        self,
        n: Any = None,
        latents: Any = None,
        *,
        seeds: Any = None,
        label: Any = None,
        truncation: float = 1.0,
    ) -> np.ndarray:
        """Generate images from seeds or from latents.

        >>> from dcgan_tf import load_generator
        >>> faces = load_generator("faces")
        >>> faces.generate(n=4).shape
        (4, 64, 64, 3)
        >>> same = faces.generate(seeds=[2])[0] == faces.generate(n=4)[2]
        >>> bool(same.all())
        True

        Args:
            n: number of images, from the seeds 0 to n - 1; or the seeds themselves.
            latents: finite real numbers (n, latent_dim), instead of `n`; with labels at their end.
            seeds: ints, 0..2**32-1, such as `range(64)` or `[7]`, instead of `n`.
            label: for a generator with labels, a class such as 7 or "cat", or attributes such as
                {"Smiling": 1}; None: that of some training image for each seed.
            truncation: factor on the latents; below 1 gives images nearer to the mean.

        Returns:
            uint8 (n, height, width, channels), ready for `PIL.Image.fromarray` (gray images:
            [..., 0]). An image does not depend on the others.
        """
        if sum(given is not None for given in (n, latents, seeds)) != 1:
            raise ValueError("expected exactly one of n, seeds and latents")
        if latents is None:
            latents = self.latents(_seeds(n, seeds), label)
        elif label is not None:
            raise ValueError("expected label or latents, which end in their labels, not both")
        latents = finite(latents)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"got latents {latents.shape}, expected (n, {self.latent_dim})")
        with np.errstate(over="ignore", invalid="ignore"):
            latents = finite(latents * self.factor(truncation))
        return self.array(latents)

    def array(self, latents: np.ndarray) -> np.ndarray:
        """Generate the images of finite latents, uint8 (n, height, width, channels)."""
        images = np.empty((len(latents), *self.picture_shape), np.uint8)
        chunks = in_batches(self._values, latents, self._chunk)
        for start, values in zip(range(0, len(latents), self._chunk), chunks, strict=True):
            images[start : start + self._chunk] = to_uint8(values, self._range)
        return images

    def _values(self, latents: Any):
        if not self._strict:
            return self._forward(latents)
        try:
            values = self._forward(latents).numpy()
        except (tf.errors.OpError, ValueError, TypeError) as error:
            message = f"the generator cannot be run on this machine ({one_line(error)})"
            raise UserError(message) from None
        if not np.isfinite(values).all():
            raise UserError(
                "the generator returns NaN or infinite pixels for these latents; "
                "use smaller latents, or a generator from earlier in its training"
            )
        return values


def _seeds(n: Any, seeds: Any) -> Any:
    """Seeds from `seeds`, or from `n`: their number or, in old programs, the seeds themselves."""
    name, given = ("n", n) if seeds is None else ("seeds", seeds)
    if name == "n" and isinstance(n, (int, np.integer)) and n >= 0:
        return range(n)
    wrong = [given]
    if isinstance(given, Iterable) and not isinstance(given, str):
        given = list(given)
        wrong = [s for s in given if not (isinstance(s, (int, np.integer)) and 0 <= s < 2**32)]
    if wrong:
        count = "a number of images, 0 or more, or seeds: " if name == "n" else ""
        expected = f"{count}whole numbers from 0 to {2**32 - 1}"
        raise UserError(f"got {limits.shown(wrong[0])}, expected {expected}", param=name)
    return given


def weights_sha256(model: keras.Model) -> str:
    """Hash the float32 weights in order, because files of one model may differ in other bytes."""
    sha256 = hashlib.sha256()
    for weight in model.get_weights():
        sha256.update(np.ascontiguousarray(weight, np.float32).tobytes())
    return sha256.hexdigest()
