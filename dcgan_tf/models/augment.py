"""Augmentation of the images that D sees: real ones alone, or real and generated alike."""

import keras
import tensorflow as tf

from dcgan_tf.common.resolve import AUGMENTATIONS
from dcgan_tf.models import noise
from dcgan_tf.models.schedules import rising

KINDS = AUGMENTATIONS
SHIFT = 1 / 8  # of the side, at most, as in DiffAugment (Zhao et al. 2020)
CUTOUT = 1 / 2  # side of the square that is cut out, of the picture's
NUMBERS = 8  # random numbers of a picture, beside those that decide which kinds it gets


@keras.saving.register_keras_serializable("dcgan_tf")
def flip(pictures: tf.Tensor, draws: noise.Draws) -> tf.Tensor:
    """Mirror each picture, (n, height, width, channels), left-right with probability 1/2."""
    coin = draws.uniform(noise.FLIPS, 1, pictures.dtype)
    return tf.where(coin[..., None, None] < 0.5, pictures[:, :, ::-1], pictures)


@keras.saving.register_keras_serializable("dcgan_tf")
class Augment:
    """Differentiable augmentation of all that D sees (Zhao et al. 2020, Karras et al. 2020).

    D can then not learn the few real pictures by heart, and as G's pictures go through the same,
    G does not learn to draw the changes, as long as some pictures stay as they are.

    Args:
        kinds: of KINDS, applied in their order: mirrored; moved by up to an eighth of the side,
            the rim filled with the nearest pixels; brightness, saturation and contrast; a square of
            half the side replaced by noise (black ones G would learn to draw).
        probability: of each kind, for each picture alone.
        ramp: images over which the probability rises from 0; 0: at once.
        activation: G's last one, which tells the range of the pixels.

    Example:

    >>> from dcgan_tf import DCGAN, Augment, Config
    >>> config = Config(width=0.02)
    >>> model = DCGAN.from_config(config, d_augment=Augment(("shift",), 0.5, activation="sigmoid"))
    >>> model.d_augment.kinds
    ('shift',)
    """

    def __init__(
        self,
        kinds: tuple[str, ...] = KINDS,
        probability: float = 1.0,
        ramp: int = 0,
        activation: str = "tanh",
    ):
        if unknown := set(kinds) - set(KINDS):
            raise ValueError(f"kinds: got {sorted(unknown)}, expected some of {', '.join(KINDS)}")
        self.kinds, self.probability, self.ramp = tuple(kinds), probability, ramp
        self.activation = activation

    def __call__(self, pictures: tf.Tensor, draws: noise.Draws, stream: int) -> tf.Tensor:
        """Change pictures.

        Args:
            pictures: float (n, height, width, channels) in G's range.
            draws: the batch's random numbers.
            stream: which of them; the same stream gives the same changes.

        Returns:
            The same shape, dtype and range, but for colours that leave it.
        """
        chance = self.probability * rising(draws.images_seen, self.ramp)
        chance = tf.cast(chance, pictures.dtype)
        numbers = draws.uniform(stream, NUMBERS + len(KINDS), pictures.dtype)
        for place, kind in enumerate(KINDS):
            if kind in self.kinds:
                own = numbers[:, NUMBERS + place] < chance
                changed = getattr(self, f"_{kind}")(pictures, numbers, draws, stream)
                pictures = tf.where(own[:, None, None, None], changed, pictures)
        return pictures

    def _flip(self, pictures, numbers, *_):
        return tf.where(numbers[:, 0, None, None, None] < 0.5, pictures[:, :, ::-1], pictures)

    def _shift(self, pictures, numbers, *_):
        height, width = pictures.shape[1:3]
        for axis, side, number in ((1, height, numbers[:, 1]), (2, width, numbers[:, 2])):
            most = int(side * SHIFT)
            by = tf.cast(tf.floor(number * (2 * most + 1)), tf.int32) - most
            places = tf.clip_by_value(tf.range(side) + by[:, None], 0, side - 1)
            pictures = tf.gather(pictures, places, axis=axis, batch_dims=1)
        return pictures

    def _colour(self, pictures, numbers, *_):
        brightness, saturation, contrast = (numbers[:, k, None, None, None] for k in (3, 4, 5))
        half_range = 0.5 if self.activation == "sigmoid" else 1.0
        pictures += (brightness - 0.5) * half_range
        grey = tf.reduce_mean(pictures, axis=3, keepdims=True)
        pictures = grey + (pictures - grey) * 2 * saturation
        mean = tf.reduce_mean(pictures, axis=(1, 2, 3), keepdims=True)
        return mean + (pictures - mean) * (contrast + 0.5)

    def _cutout(self, pictures, numbers, draws, stream):
        height, width, channels = pictures.shape[1:]
        inside = [
            self._within(side, numbers[:, number]) for side, number in ((height, 6), (width, 7))
        ]
        hole = inside[0][:, :, None, None] & inside[1][:, None, :, None]
        dots = draws.uniform(stream + noise.HOLES, height * width * channels, pictures.dtype)
        dots = tf.reshape(dots, tf.shape(pictures))
        low, high = (0, 1) if self.activation == "sigmoid" else (-1, 1)
        return tf.where(hole, low + (high - low) * dots, pictures)

    def _within(self, side, number):
        """bool (n, side): the rows or columns of a hole, whose centre is anywhere."""
        centre = number[:, None] * side
        return tf.abs(tf.range(side, dtype=number.dtype) + 0.5 - centre) < side * CUTOUT / 2

    def get_config(self) -> dict:
        names = ("probability", "ramp", "activation")
        return {"kinds": list(self.kinds)} | {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)
