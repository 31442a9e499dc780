"""Exponential moving average (EMA) of G's weights, used to generate images.

G circles around its optimum, and the mean of its weights over time is nearer to the center (Yazici
et al. 2019). Training itself does not use the EMA.
"""

import dataclasses

import keras
import tensorflow as tf

from dcgan_tf.common.labels import labels_of
from dcgan_tf.models.serializable import Serializable

NAME = "average_of_generator"  # name of the network, also in its .keras file


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class HalfLife(Serializable):
    """EMA in which the G of `images` images ago has half the weight of the current G.

    `ramp` limits the half-life to a fraction of the images seen, so that the first steps soon lose
    their weight (Karras et al. 2019); 0: no limit.

    Examples:
        >>> from dcgan_tf import DCGAN, Config, HalfLife
        >>> model = DCGAN.from_config(Config(width=0.02), ema=HalfLife(500))
        >>> model.inference_generator is model.ema_generator
        True
    """

    images: float = 4000
    ramp: float = 0.05

    def __call__(self, images_seen: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Decay of the EMA in one step, a float32 scalar; `images_seen` includes this step."""
        half_life = tf.constant(float(self.images))
        if self.ramp:
            half_life = tf.minimum(half_life, self.ramp * tf.cast(images_seen, tf.float32))
        return tf.pow(0.5, batch_size / half_life)


def copy_of(generator: keras.Model) -> keras.Model:
    """Copy a generator with its weights into new variables."""
    config = generator.get_config() | {"name": NAME}
    copy = type(generator).from_config(config)
    copy.trainable, copy.labels = False, labels_of(generator)
    copy.set_weights(generator.get_weights())
    return copy


def update(ema_generator: keras.Model, generator: keras.Model, decay: tf.Tensor) -> None:
    """Move the EMA, with BatchNorm's moving statistics, toward G by one step."""
    share = 1 - decay
    for mean, variable in zip(ema_generator.variables, generator.variables, strict=True):
        if mean.dtype == variable.dtype and "float" in mean.dtype:
            mean.value.assign_add(tf.cast(share, mean.dtype) * (variable.value - mean.value))
