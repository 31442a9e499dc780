"""Generator and discriminator as functional Keras models.

Channel counts are multiplied by the width of the config; latent_dim is not.
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from dcgan_tf.common.config import Config
from dcgan_tf.common.labels import Labels

SQUARINGS = 6  # equal to 64 steps of the power method
_CHANNELS_LAST = {"data_format": "channels_last"}  # overrides the user's keras.json


def build_generator(
    config: Config, synchronized: bool = False, labels: Labels | None = None
) -> keras.Model:
    """Build G, from float (n, latent_dim) to float32 (n, image_size, image_size, channels).

    Its images are in the range of `output_activation`. `synchronized` computes BatchNorm over the
    whole batch of several devices. `labels` take as many numbers more at the end of each latent.

    Examples:
        >>> from dcgan_tf import Config, build_generator
        >>> build_generator(Config(width=0.02)).output_shape
        (None, 64, 64, 3)
    """
    block = _Blocks(config, 1, config.g_activation, synchronized, spectral=False)
    size, base = config.base_size, config.scaled(config.base_channels)
    latents = keras.Input((config.latent_dim + (labels.n if labels else 0),), name="latents")
    x = block.dense(size * size * base, name="base")(latents)
    x = layers.Reshape((size, size, base), name="base_map")(x)
    if config.base_batchnorm:
        x = block.normalize(x, "base")
    for number, channels in enumerate(config.g_channels, 1):
        x = block.transposed(config.scaled(channels), name=f"up{number}")(x)
        x = block.normalize(x, f"up{number}")
    if config.g_output == "transposed":
        x = block.transposed(config.channels, name="to_picture")(x)
    else:
        x = block.convolution(config.channels, 5, strides=1, name="to_picture")(x)
    x = layers.Activation(config.output_activation, dtype=_output_dtype(), name="picture")(x)
    generator = keras.Model(latents, x, name="generator")
    generator.labels = labels
    return generator


def build_discriminator(
    config: Config, synchronized: bool = False, labels: Labels | None = None
) -> keras.Model:
    """Build D, from images, float (n, height, width, channels), to float32 logits (n, 1).

    Logits are above 0 for real images. With `labels`, (n, 1 + labels): a logit, and what each label
    adds to it (the projection of Miyato and Koyama 2018).

    Examples:
        >>> from dcgan_tf import Config, build_discriminator
        >>> build_discriminator(Config(width=0.02)).output_shape
        (None, 1)
    """
    block = _Blocks(config, 2, "leaky_relu", synchronized, spectral=config.d_norm == "spectral")
    shape = (config.image_size, config.image_size, config.channels)
    x = images = keras.Input(shape, name="pictures")
    for number, channels in enumerate(config.d_channels, 1):
        size = config.kernel_size
        x = block.convolution(config.d_scaled(channels), size, strides=2, name=f"down{number}")(x)
        if config.d_norm == "batch" and (number > 1 or config.d_first_batchnorm):
            x = block.normalize(x, f"down{number}")
        else:
            x = block.activate(x, f"down{number}")
    if config.d_minibatch_std:
        x = MinibatchStd(config.d_minibatch_std, name="minibatch_std")(x)
    x = layers.Flatten(name="flatten", **_CHANNELS_LAST)(x)
    if config.d_hidden:
        x = block.activate(block.dense(config.d_hidden, name="hidden")(x), "hidden")
    count = 1 + (labels.n if labels else 0)
    logits = block.dense(count, name="logit", dtype=_output_dtype())(x)
    return keras.Model(images, logits, name="discriminator")


def largest_singular_value(matrix: tf.Tensor) -> tf.Tensor:
    """Largest singular value of a float matrix (m, n), differentiable with fixed singular vectors.

    The power method on the Gram matrix, by repeated squaring instead of repeated application.
    """
    # No gradient through the singular vectors: to first order, their change has no effect.
    gram = tf.stop_gradient(tf.matmul(matrix, matrix, transpose_a=True))
    power = gram / tf.linalg.trace(gram)
    for _ in range(SQUARINGS):
        power = tf.matmul(power, power)
        power /= tf.linalg.trace(power)
    # Each column is now a multiple of the singular vector; the largest has the least rounding.
    column = power[:, tf.argmax(tf.linalg.diag_part(power))]
    right = tf.matmul(gram, column[:, None])
    right = tf.stop_gradient(right / tf.norm(right))
    left = tf.stop_gradient(tf.matmul(matrix, right))
    left /= tf.norm(left)
    return tf.reduce_sum(left * tf.matmul(matrix, right))


def _divide_by_norm(kernel: Any, dtype: str):
    """Divide a kernel (last axis: output channels) by its largest singular value."""
    matrix = tf.reshape(tf.convert_to_tensor(kernel), (-1, kernel.shape[-1]))
    return keras.ops.cast(kernel / largest_singular_value(matrix), dtype)


@keras.saving.register_keras_serializable("dcgan_tf")
class SpectralConv2D(layers.Conv2D):
    """keras.layers.Conv2D with spectral normalization, 1-Lipschitz (Miyato et al. 2018).

    Keras' own wrapper overwrites the kernel in each step and stores a random vector. This layer
    computes the norm from the kernel, so a resume restores nothing more and all devices agree.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, _divide_by_norm(kernel, self.compute_dtype))


@keras.saving.register_keras_serializable("dcgan_tf")
class SpectralDense(layers.Dense):
    """keras.layers.Dense with spectral normalization, as in SpectralConv2D."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = keras.ops.matmul(inputs, _divide_by_norm(self.kernel, self.compute_dtype))
        outputs = outputs if self.bias is None else outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)


@keras.saving.register_keras_serializable("dcgan_tf")
class MinibatchStd(layers.Layer):
    """Append the standard deviation within groups of images as a channel (Karras et al. 2018).

    It lets D detect a G that repeats images. The channel holds one number for each group of
    `group_size` consecutive images: the standard deviation over the group, averaged over all
    positions and channels of the map. The size must divide each device's share of a batch.
    """

    def __init__(self, group_size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.group_size = group_size

    def call(self, inputs: Any) -> Any:
        # At least float32: half precision has too few digits for a variance.
        maps = tf.cast(inputs, self.variable_dtype)
        groups = tf.reshape(maps, (-1, self.group_size, math.prod(inputs.shape[1:])))
        deviation = tf.sqrt(tf.math.reduce_variance(groups, axis=1) + 1e-8)
        deviation = tf.repeat(tf.reduce_mean(deviation, axis=1), self.group_size)
        channel = tf.ones_like(maps[..., :1]) * deviation[:, None, None, None]
        return tf.concat([inputs, tf.cast(channel, inputs.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[:-1], input_shape[-1] + 1

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"group_size": self.group_size}


def _output_dtype():
    """The dtype of images and logits: never half precision, because losses use them."""
    return keras.config.dtype_policy().variable_dtype


@dataclasses.dataclass
class _Blocks:
    """Makes the layers of one network with their common settings."""

    config: Config
    stream: int  # so that G and D of one seed get different initial weights
    activation: str
    synchronized: bool
    spectral: bool
    count: int = 0

    def _common(self):
        """Keyword arguments for every layer with a kernel, each with its own seed."""
        self.count += 1
        words = [self.config.seed, self.stream, self.count]
        seed = int(np.random.RandomState(words).randint(2**31 - 1))
        normal = keras.initializers.RandomNormal(0.0, self.config.init_stddev, seed=seed)
        return {"use_bias": self.config.use_bias, "kernel_initializer": normal}

    def dense(self, units: int, **kwargs: Any) -> layers.Dense:
        kind = SpectralDense if self.spectral else layers.Dense
        return kind(units, **self._common(), **kwargs)

    def convolution(self, channels: int, size: int, strides: int, **kwargs: Any) -> layers.Conv2D:
        kind = SpectralConv2D if self.spectral else layers.Conv2D
        kwargs |= self._common() | _CHANNELS_LAST
        return kind(channels, size, strides, "same", **kwargs)

    def transposed(self, channels: int, **kwargs: Any) -> layers.Conv2DTranspose:
        kwargs |= self._common() | _CHANNELS_LAST
        return layers.Conv2DTranspose(channels, self.config.kernel_size, 2, "same", **kwargs)

    def normalize(self, x: Any, name: str) -> Any:
        x = layers.BatchNormalization(
            momentum=self.config.batchnorm_momentum,
            epsilon=self.config.batchnorm_epsilon,
            synchronized=self.synchronized,
            name=f"{name}_norm",
        )(x)
        return self.activate(x, name)

    def activate(self, x: Any, name: str) -> Any:
        if self.activation == "relu":
            return layers.ReLU(name=f"{name}_relu")(x)
        return layers.LeakyReLU(self.config.leaky_slope, name=f"{name}_leaky_relu")(x)
