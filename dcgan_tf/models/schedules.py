"""Schedules without state: factors as functions of the images seen."""

import math

import tensorflow as tf


def falling(course: str, images_seen: tf.Tensor, images: float, end: float) -> tf.Tensor:
    """Fall from 1 to `end` over `images`, then stay there; a float32 scalar.

    `course` is "linear", "cosine" (Loshchilov and Hutter 2017, equation 5, without restarts) or
    "exponential", for which `end` is above 0. With "none", or if `images` is 0, it stays at 1.
    """
    if course == "none" or not images:
        return tf.constant(1.0)
    done = _progress(images_seen, images)
    if course == "exponential":
        return tf.exp(done * math.log(end))
    left = 1 - done if course == "linear" else (1 + tf.cos(math.pi * done)) / 2
    return end + (1 - end) * left


def rising(images_seen: tf.Tensor, images: float) -> tf.Tensor:
    """Rise linearly from 0 to 1 over `images` (at once if that is 0); a float32 scalar."""
    return _progress(images_seen, images) if images else tf.constant(1.0)


def _progress(images_seen: tf.Tensor, images: float):
    # Divided in float64: float32 is exact for whole numbers up to 16 million only.
    return tf.cast(tf.minimum(tf.cast(images_seen, tf.float64) / images, 1.0), tf.float32)
