"""Exponential moving average (EMA) of G's weights, used to generate images.

G circles around what it looks for. The average of its weights along the way lies nearer to the
centre (Yazici et al. 2019). It takes no part in the training: only pictures are made with it.
"""

import keras
import tensorflow as tf

NAME = "average_of_generator"  # of the network, also in its .keras file


@keras.saving.register_keras_serializable("dcgan_tf")
class HalfLife:
    """An exponential average: what G was `images` ago counts half (Karras et al. 2019).

    Args:
        images: the half-life.
        ramp: the half-life is at most this share of the images seen, so that the first steps are
            soon forgotten (0: no ramp).

    Example:

    >>> from dcgan_tf import DCGAN, Config, HalfLife
    >>> model = DCGAN.from_config(Config(width=0.02), average=HalfLife(500))
    >>> model.shown is model.averaged
    True
    """

    def __init__(self, images: float = 4000, ramp: float = 0.05):
        self.images, self.ramp = images, ramp

    def __call__(self, images_seen: tf.Tensor, batch_size: int) -> tf.Tensor:
        """float32 scalar: the share of the average that stays in a step of `batch_size` images.

        Args:
            images_seen: scalar, those of this step counted.
        """
        half_life = tf.constant(float(self.images))
        if self.ramp:
            half_life = tf.minimum(half_life, self.ramp * tf.cast(images_seen, tf.float32))
        return 0.5 ** (batch_size / half_life)

    def get_config(self) -> dict:
        return {"images": self.images, "ramp": self.ramp}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


@keras.saving.register_keras_serializable("dcgan_tf")
class Power:
    """The power-function average (Karras et al. 2024, equation 1): G after n images weighs as
    n^exponent, at every length of the training the same picture of the past.

    Args:
        exponent: 16.97 is a width of 5% of the images seen, 6.94 of 10%.
    """

    def __init__(self, exponent: float = 16.97):
        self.exponent = exponent

    def __call__(self, images_seen: tf.Tensor, batch_size: int) -> tf.Tensor:
        """As HalfLife's: 0 in the first step."""
        seen = tf.cast(images_seen, tf.float32)
        return tf.maximum(1 - batch_size / seen, 0.0) ** (self.exponent + 1)

    def get_config(self) -> dict:
        return {"exponent": self.exponent}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


def copy_of(generator: keras.Model) -> keras.Model:
    """A second generator with the same weights, in variables of its own."""
    config = generator.get_config() | {"name": NAME}
    copy = type(generator).from_config(config)
    copy.trainable = False
    copy.set_weights(generator.get_weights())
    return copy


def update(average: keras.Model, generator: keras.Model, kept: tf.Tensor):
    """Move the average towards G by one step.

    BatchNorm's moving statistics are averaged as the weights are: those of G at this moment would
    not fit weights of another.

    Args:
        kept: scalar, the share of the average that stays.
    """
    share = 1 - kept
    for mean, variable in zip(average.variables, generator.variables, strict=True):
        if mean.dtype == variable.dtype and "float" in mean.dtype:
            mean.value.assign_add(tf.cast(share, mean.dtype) * (variable.value - mean.value))
