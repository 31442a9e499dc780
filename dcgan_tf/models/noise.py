"""Random numbers for a training step, keyed by (seed, stream, global sample index).

They have no state: a step repeated after a crash draws the same numbers, as do several devices that
share a batch.
"""

import math
from typing import Any

import tensorflow as tf

# Independent streams; your own streams are numbers from 9 on.
LATENTS, FRESH_LATENTS, FLIPS, REAL_TARGETS, FAKE_TARGETS = range(5)
AUGMENT_REALS, AUGMENT_FAKES = range(5, 7)
WRONG_LABELS = -1
HOLES = 2  # added to the last two: the noise that fills cut-out squares

MANTISSA_BITS = {"float16": 10, "bfloat16": 7}  # 23 otherwise


class BatchRNG:
    """Random number generator for one batch, or for one device's share of it.

    `index`, int64 (n,), are global sample indices: step * batch_size + position, where batch_size
    counts the samples of all devices. `images_seen` is the number of images before this batch.
    """

    def __init__(self, seed: int, index: Any, batch_size: int):
        self._seed, self._batch_size = seed, batch_size
        self.step = index[0] // batch_size
        self.images_seen = self.step * batch_size
        self._positions = index - self.images_seen  # TensorFlow has no GPU kernel for % on int64

    def normal(self, stream: int, length: int, dtype: tf.DType | str = "float32") -> tf.Tensor:
        """Draw a standard normal vector for each sample, (n, length) in all."""
        # Two uniform numbers become two normal ones (Box and Muller 1958).
        radius, angle = tf.split(self._fractions(stream, length + length % 2), 2, axis=1)
        radius = tf.sqrt(-2 * tf.math.log(tf.maximum(radius, 1e-7)))
        angle *= 2 * math.pi
        both = tf.concat([radius * tf.sin(angle), radius * tf.cos(angle)], axis=1)
        return self._share(tf.cast(both[:, :length], dtype))

    def uniform(self, stream: int, length: int, dtype: tf.DType | str = "float32") -> tf.Tensor:
        """Like `normal`, uniform in [0, 1)."""
        return self._share(self._fractions(stream, length, dtype))

    def _share(self, whole: tf.Tensor):
        # Every device draws for the whole batch and selects its samples: in an array of another
        # shape a sine may be rounded differently.
        return tf.gather(whole, self._positions)

    def _fractions(self, stream: int, length: int, dtype: tf.DType | str = "float32"):
        seeds = tf.constant([self._seed, stream], tf.int64)
        key = tf.random.fold_in(seeds, self.step, alg="philox")
        # Philox, because the default generator depends on the device. Bits, because XLA draws the
        # same bits as TensorFlow, but other floats.
        shape = (self._batch_size, length)
        bits = tf.random.stateless_uniform(shape, key, None, None, tf.uint32, alg="philox")  # pyright: ignore
        kept = MANTISSA_BITS.get(tf.as_dtype(dtype).name, 23)  # one more could round up to 1
        return tf.cast(tf.bitwise.bitwise_and(bits, 2**kept - 1), dtype) * 2.0**-kept
