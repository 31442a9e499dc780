"""Schedules: factors as functions of the images seen.

They have no state: a training that goes on after a kill is where it was.
"""

import math

import tensorflow as tf


def falling(course: str, images_seen, images: int, end: float):
    """From 1 to `end` over `images`, and `end` from then on.

    Args:
        course: "linear", "cosine" (Loshchilov and Hutter 2017, equation 5, without restarts) or
            "exponential"; "none" stays at 1.
        images_seen: scalar tensor, whole or float.
        images: until the end is reached; 0 stays at 1.
        end: 0 to 1, for "exponential" above 0.

    Returns:
        float32 scalar tensor.
    """
    if course == "none" or not images:
        return tf.constant(1.0)
    done = progress(images_seen, images)
    if course == "exponential":
        return tf.exp(done * math.log(end))
    left = 1 - done if course == "linear" else (1 + tf.cos(math.pi * done)) / 2
    return end + (1 - end) * left


def rising(images_seen, images: int):
    """float32 scalar tensor: from 0 to 1 over `images`, in a straight line; 1 where that is 0."""
    return progress(images_seen, images) if images else tf.constant(1.0)


def progress(images_seen, images: int):
    """float32 scalar tensor: the share of `images` that was seen, at most 1."""
    # Divided in float64: float32 counts whole numbers to 16 million only.
    return tf.cast(tf.minimum(tf.cast(images_seen, tf.float64) / images, 1.0), tf.float32)
