"""Augmentation of the images for D: real ones only, or real and generated ones."""

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
NUMBERS = 8  # random numbers per image, before those that choose its kinds


@keras.saving.register_keras_serializable("dcgan_tf")
def flip(images: tf.Tensor, rng: noise.BatchRNG) -> tf.Tensor:
    """Mirror each image, (n, height, width, channels), left-right with probability 1/2."""
    coin = rng.uniform(noise.FLIPS, 1, images.dtype)
    return tf.where(coin[:, :, None, None] < 0.5, images[:, :, ::-1], images)


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class Augment(Serializable):
    """Differentiable augmentation of all images for D (Zhao et al. 2020, Karras et al. 2020).

    It keeps D from memorizing a small data set. Generated images are augmented too, so G does not
    learn to draw the changes as long as some images stay unchanged.

    Args:
        kinds: some of KINDS, applied in the order of KINDS. flip: mirror; shift: move by up to an
            eighth of the side and repeat the rim; colour: change brightness, saturation and
            contrast; cutout: replace a square of half the side by noise.
        probability: of each kind, for each image.
        ramp: images over which the probability rises from 0; 0: no ramp.
        activation: G's last activation, which sets the range of the pixels.

    Examples:
        >>> from dcgan_tf import DCGAN, Augment, Config
        >>> config = Config(width=0.02)
        >>> shift = Augment(("shift",), 0.5, activation="sigmoid")
        >>> model = DCGAN.from_config(config, d_augment=shift)
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
        """Change images, float (n, height, width, channels) in G's range, which colors may exceed.

        The same `stream` of a batch's random numbers gives the same changes.
        """
        chance = tf.cast(self.probability * rising(rng.images_seen, self.ramp), images.dtype)
        # All numbers are always drawn, so that adding a kind does not change the others.
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
        """Mask, (n, side), of the rows or columns in a hole centered at the fraction `number`."""
        center = number[:, None] * side
        return tf.abs(tf.range(side, dtype=number.dtype) + 0.5 - center) < side * CUTOUT / 2
