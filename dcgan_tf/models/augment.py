"""Augmentation of the images that D sees: real ones alone, or real and generated alike."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.common.config import AUGMENTATIONS
from dcgan_tf.models import noise
from dcgan_tf.models.schedules import rising
from dcgan_tf.models.serializable import Serializable

KINDS = AUGMENTATIONS
SHIFT = 1 / 8  # of the side, at most, as in DiffAugment (Zhao et al. 2020)
CUTOUT = 1 / 2  # side of the square that is cut out, as a fraction of the image's
NUMBERS = 8  # random numbers of an image, before those that decide which kinds it gets


@keras.saving.register_keras_serializable("dcgan_tf")
def flip(images: tf.Tensor, rng: noise.BatchRNG) -> tf.Tensor:
    """Mirror each image, (n, height, width, channels), left-right with probability 1/2."""
    coin = rng.uniform(noise.FLIPS, 1, images.dtype)
    return tf.where(coin[:, :, None, None] < 0.5, images[:, :, ::-1], images)


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class Augment(Serializable):
    """Differentiable augmentation of all that D sees (Zhao et al. 2020, Karras et al. 2020).

    D can then not memorize the few real images, and as G's images are augmented as well, G does
    not learn to draw the changes, as long as some images stay unchanged.

    Args:
        kinds: of KINDS, applied in their order: mirrored; moved by up to an eighth of the side,
            the rim filled with the nearest pixels; brightness, saturation and contrast; a square of
            half the side replaced by noise (black ones G would learn to draw).
        probability: of each kind, for each image on its own.
        ramp: images over which the probability rises from 0; 0: at once.
        activation: G's last one, which sets the range of the pixels.

    Example:

    >>> from dcgan_tf import DCGAN, Augment, Config
    >>> config = Config(width=0.02)
    >>> model = DCGAN.from_config(config, d_augment=Augment(("shift",), 0.5, activation="sigmoid"))
    >>> model.d_augment.kinds
    ('shift',)
    """

    kinds: tuple[str, ...] = KINDS
    probability: float = 1.0
    ramp: int = 0
    activation: str = "tanh"

    def __post_init__(self):
        if unknown := set(self.kinds) - set(KINDS):
            raise ValueError(f"kinds: got {sorted(unknown)}, expected some of {', '.join(KINDS)}")
        self.kinds = tuple(self.kinds)

    def __call__(self, images: tf.Tensor, rng: noise.BatchRNG, stream: int) -> tf.Tensor:
        """Change images, float (n, height, width, channels) in G's range; colors may leave it.

        The same `stream` of a batch's random numbers gives the same changes.
        """
        chance = self.probability * rising(rng.images_seen, self.ramp)
        chance = tf.cast(chance, images.dtype)
        # All numbers are drawn whatever the kinds: one kind more does not change the others.
        numbers = rng.uniform(stream, NUMBERS + len(KINDS), images.dtype)
        for place, kind in enumerate(KINDS):
            if kind in self.kinds:
                chosen = numbers[:, NUMBERS + place] < chance
                changed = getattr(self, f"_{kind}")(images, numbers, rng, stream)
                images = tf.where(chosen[:, None, None, None], changed, images)
        return images

    def _flip(self, images: tf.Tensor, numbers: tf.Tensor, *_):
        return tf.where(numbers[:, 0, None, None, None] < 0.5, images[:, :, ::-1], images)

    def _shift(self, images: Any, numbers: tf.Tensor, *_):
        height, width = images.shape[1:3]
        for axis, side, number in ((1, height, numbers[:, 1]), (2, width, numbers[:, 2])):
            most = int(side * SHIFT)
            by = tf.cast(tf.floor(number * (2 * most + 1)), tf.int32) - most
            places = tf.clip_by_value(tf.range(side) + by[:, None], 0, side - 1)
            images = tf.gather(images, places, axis=axis, batch_dims=1)
        return images

    def _colour(self, images: tf.Tensor, numbers: tf.Tensor, *_):
        brightness, saturation, contrast = (numbers[:, k, None, None, None] for k in (3, 4, 5))
        half_range = 0.5 if self.activation == "sigmoid" else 1.0
        images += (brightness - 0.5) * half_range
        gray = tf.reduce_mean(images, axis=3, keepdims=True)
        images = gray + (images - gray) * 2 * saturation
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        return mean + (images - mean) * (contrast + 0.5)

    def _cutout(self, images: Any, numbers: tf.Tensor, rng: noise.BatchRNG, stream: int):
        height, width, channels = images.shape[1:]
        rows, columns = (self._in_hole(s, numbers[:, k]) for s, k in ((height, 6), (width, 7)))
        hole = rows[:, :, None, None] & columns[:, None, :, None]
        dots = rng.uniform(stream + noise.HOLES, height * width * channels, images.dtype)
        dots = tf.reshape(dots, tf.shape(images))
        low, high = (0, 1) if self.activation == "sigmoid" else (-1, 1)
        return tf.where(hole, low + (high - low) * dots, images)

    def _in_hole(self, side: int, number: tf.Tensor):
        """Mask, (n, side), of the rows or columns in a hole, whose center is anywhere."""
        center = number[:, None] * side
        return tf.abs(tf.range(side, dtype=number.dtype) + 0.5 - center) < side * CUTOUT / 2
