"""Changes of the real pictures that D sees."""

import keras
import tensorflow as tf

from dcgan_tf.models import noise


@keras.saving.register_keras_serializable("dcgan_tf")
def flip(pictures: tf.Tensor, draws: noise.Draws) -> tf.Tensor:
    """Mirror each picture, (n, height, width, channels), left-right with probability 1/2."""
    coin = draws.uniform(noise.FLIPS, 1, pictures.dtype)
    return tf.where(coin[..., None, None] < 0.5, pictures[:, :, ::-1], pictures)
