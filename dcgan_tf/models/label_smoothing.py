"""D's targets: 1 for real and 0 for fake images, moved by label smoothing and label noise."""

import tensorflow as tf

from dcgan_tf.models import noise


def real_targets(
    logits: tf.Tensor, draws: noise.Draws, label_smoothing: float, label_noise: float
) -> tf.Tensor:
    """What D should answer to reals, (n, 1), in [0, 1], of the dtype of its logits (n, 1).

    Args:
        draws: the batch's random numbers.
        label_smoothing: targets are 1 minus this (Salimans et al. 2016, one-sided).
        label_noise: they move down by up to this, uniformly.
    """
    start = 1.0 - label_smoothing
    return _moved(logits, start, -label_noise, draws, noise.REAL_TARGETS)


def fake_targets(logits: tf.Tensor, draws: noise.Draws, label_noise: float) -> tf.Tensor:
    """As `real_targets` for fakes: 0, moved up by the noise alone."""
    return _moved(logits, 0.0, label_noise, draws, noise.FAKE_TARGETS)


def _moved(logits, start, away, draws, stream):
    targets = tf.fill((tf.shape(logits)[0], 1), tf.constant(start, logits.dtype))
    if not away:
        return targets
    draw = draws.uniform(stream, 1, logits.dtype)
    return tf.clip_by_value(targets + away * draw, 0.0, 1.0)
