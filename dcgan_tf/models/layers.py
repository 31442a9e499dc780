"""Spectral normalization: layers of D whose kernel is divided by its largest singular value.

D then changes by no more than the picture does (Miyato et al. 2018). Where Keras' own wrapper
overwrites the kernel in each step, and keeps a vector whose first value is random, these compute
the value anew from the kernel: a resumed training has nothing more to restore, and all devices
agree. Files with them open after `import dcgan_tf`, which registers them as soon as Keras is there.
"""

import keras
import tensorflow as tf

SQUARINGS = 6  # of the Gram matrix: as good as 64 steps of the power method


def largest_singular_value(matrix: tf.Tensor) -> tf.Tensor:
    """Scalar, of a float matrix (m, n); its gradient is that for fixed singular vectors.

    The power method on the Gram matrix, which is squared instead of applied again and again.
    """
    gram = tf.stop_gradient(tf.matmul(matrix, matrix, transpose_a=True))
    power = gram / tf.linalg.trace(gram)
    for _ in range(SQUARINGS):
        power = tf.matmul(power, power)
        power /= tf.linalg.trace(power)
    # The column of the largest diagonal has the largest share of the wanted vector.
    column = power[:, tf.argmax(tf.linalg.diag_part(power))]
    right = tf.matmul(gram, column[:, None])
    right = tf.stop_gradient(right / tf.norm(right))
    left = tf.stop_gradient(tf.matmul(matrix, right))
    left /= tf.norm(left)
    return tf.reduce_sum(left * tf.matmul(matrix, right))


def _normalized(kernel, dtype):
    """A kernel, whose last axis is the output, divided by its largest singular value."""
    matrix = tf.reshape(tf.convert_to_tensor(kernel), (-1, kernel.shape[-1]))
    return keras.ops.cast(kernel / largest_singular_value(matrix), dtype)


@keras.saving.register_keras_serializable("dcgan_tf")
class SpectralConv2D(keras.layers.Conv2D):
    """Conv2D; as there, but for the kernel that is applied."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, _normalized(kernel, self.compute_dtype))


@keras.saving.register_keras_serializable("dcgan_tf")
class SpectralDense(keras.layers.Dense):
    """Dense; as there, but for the kernel that is applied."""

    def call(self, inputs, training=None):
        outputs = keras.ops.matmul(inputs, _normalized(self.kernel, self.compute_dtype))
        outputs = outputs if self.bias is None else outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)
