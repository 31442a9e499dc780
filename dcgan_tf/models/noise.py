"""Everything random in a training step, as a function of (seed, stream, global sample index).

Nothing here has a state: a step that is repeated after a crash draws the same numbers, and a batch
that is spread over several devices draws the numbers that it would have drawn on one.
"""

import tensorflow as tf

LATENTS, FRESH_LATENTS, FLIPS, REAL_TARGETS, FAKE_TARGETS = range(5)


def normal(seed, stream, index, batch_size, length, dtype):
    """Standard normal vectors, one for each sample.

    Args:
        seed: int; stream: one of this module's constants, for independent draws.
        index: int64 (n,), global sample indices, all of one batch.
        batch_size: samples per step over all devices.
        length: numbers per sample.
        dtype: float dtype.

    Returns:
        Tensor (n, length).
    """
    return _draw(tf.random.stateless_normal, seed, stream, index, batch_size, length, dtype)


def uniform(seed, stream, index, batch_size, length, dtype):
    """As `normal`, uniform in [0, 1)."""
    return _draw(tf.random.stateless_uniform, seed, stream, index, batch_size, length, dtype)


def _draw(draw, seed, stream, index, batch_size, length, dtype):
    step = index[0] // batch_size
    key = tf.random.fold_in(tf.constant([seed, stream], tf.int64), step)
    # The whole batch is drawn on every device (it is small) and each takes its own samples.
    # Philox by name: the default generator depends on the device.
    whole = draw((batch_size, length), key, dtype=dtype, alg="philox")
    return tf.gather(whole, index % batch_size)
