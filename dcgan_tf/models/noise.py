"""Everything random in a training step, as a function of (seed, stream, global sample index).

Nothing here has a state: a step that is repeated after a crash draws the same numbers, and a batch
that is spread over several devices draws the numbers that it would have drawn on one.
"""

import tensorflow as tf

# Streams of independent draws; one of your own is any other number.
LATENTS, FRESH_LATENTS, FLIPS, REAL_TARGETS, FAKE_TARGETS = range(5)
AUGMENT_REALS, AUGMENT_FAKES = range(5, 7)
HOLES = 2  # added to the last two: what fills the pictures' holes


class Draws:
    """The random numbers of one batch, or of one device's share of it.

    Args:
        seed: int.
        index: int64 (n,), global sample indices, all of one batch: step * batch_size + position.
        batch_size: samples per step over all devices.

    Attributes:
        images_seen: int64 scalar tensor, how many before this batch.
    """

    def __init__(self, seed: int, index: tf.Tensor, batch_size: int):
        self._seed, self._batch_size = seed, batch_size
        self._step = index[0] // batch_size
        self._positions = index % batch_size
        self.images_seen = self._step * batch_size

    def normal(self, stream: int, length: int, dtype="float32") -> tf.Tensor:
        """Standard normal vectors, (n, length), one for each sample.

        Args:
            stream: one of this module's constants, or a number of your own.
            length: numbers per sample.
            dtype: a float dtype.
        """
        return self._draw(tf.random.stateless_normal, stream, length, dtype)

    def uniform(self, stream: int, length: int, dtype="float32") -> tf.Tensor:
        """As `normal`, uniform in [0, 1)."""
        return self._draw(tf.random.stateless_uniform, stream, length, dtype)

    def _draw(self, draw, stream, length, dtype):
        key = tf.random.fold_in(tf.constant([self._seed, stream], tf.int64), self._step)
        # The whole batch is drawn on every device (it is small) and each takes its own samples.
        # Philox by name: the default generator depends on the device.
        whole = draw((self._batch_size, length), key, dtype=dtype, alg="philox")
        return tf.gather(whole, self._positions)
