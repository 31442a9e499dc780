"""Batches with tf.data; the content of a batch is a function of its number alone.

Nothing here has a state, so a run that goes on at step 1,234 gets exactly the batches that it would
have got, and several workers together get exactly the batches of one.
"""

import functools

import numpy as np
import tensorflow as tf

AHEAD = 4  # batches that are read before they are asked for


def steps_per_epoch(count, batch_size):
    """int: whole batches in `count` pictures. A rest is left out, in each epoch another one:
    a last batch of another size would recompile the step and skew BatchNorm."""
    return count // batch_size


@functools.lru_cache(maxsize=2)
def epoch_order(count, seed, epoch):
    """int ndarray (count,): the order of the pictures in an epoch, from NumPy's frozen stream."""
    return np.random.RandomState([seed, epoch]).permutation(count)


def read_batch(pixels, step, *, batch_size, seed, shard=0, shards=1):
    """One shard of one batch.

    Args:
        pixels: uint8 (count, height, width, channels).
        step: number of the batch since the start of the training, from 0.
        shard, shards: which contiguous part of the batch.

    Returns:
        uint8 (batch_size / shards, height, width, channels) and int64 (batch_size / shards,), the
        global sample indices: step * batch_size + position in the batch.
    """
    epoch, position = divmod(step, steps_per_epoch(len(pixels), batch_size))
    order = epoch_order(len(pixels), seed, epoch)
    part = batch_size // shards
    start = shard * part
    rows = order[position * batch_size + start : position * batch_size + start + part]
    return pixels[rows], np.arange(start, start + part, dtype=np.int64) + step * batch_size


def batches(pixels, *, batch_size, seed, first_step=0, shards=1, own=None):
    """An endless dataset of batches, or of this worker's shards of them.

    Args:
        pixels: uint8 (count, height, width, channels), may be mapped from disk.
        batch_size: pictures per step over all shards.
        first_step: where to go on.
        shards: how many devices share a batch; own: range of those that this worker feeds, one
            dataset element each, by default all.

    Returns:
        tf.data.Dataset of {"image": uint8 (n, height, width, channels), "index": int64 (n,)}.
    """
    own = own or range(shards)
    load = load_batch(pixels, batch_size=batch_size, seed=seed, shards=shards)

    @tf.autograph.experimental.do_not_convert  # which takes time, and leaves files where killed
    def element(item):
        return load(first_step + item // len(own), own.start + item % len(own))

    dataset = tf.data.Dataset.range(np.iinfo(np.int64).max).map(element)
    return settled(dataset)


def load_batch(pixels, *, batch_size, seed, shards=1):
    """A function for tf.data's map from the number of a step, and of a shard, to an element.

    Args:
        pixels, batch_size, seed, shards: as for read_batch.

    Returns:
        function of int64 scalar tensors: {"image": uint8 (batch_size / shards, height, width,
        channels), "index": int64 (batch_size / shards,)}.
    """
    read = functools.partial(read_batch, pixels, batch_size=batch_size, seed=seed, shards=shards)
    part = batch_size // shards

    @tf.autograph.experimental.do_not_convert
    def load(step, shard=0):
        image, index = tf.numpy_function(
            lambda step, shard: read(int(step), shard=int(shard)),
            [step, shard],
            [tf.uint8, tf.int64],
        )
        image = tf.ensure_shape(image, (part, *pixels.shape[1:]))
        return {"image": image, "index": tf.ensure_shape(index, (part,))}

    return load


def settled(dataset):
    """The dataset, read a little ahead, and left as it is by TensorFlow.

    Sharding is done here; TensorFlow's own would read everything on every worker. And nothing is
    tuned while it runs: there is nothing to choose, and the thread that would choose can miss that
    the iterator is gone (TensorFlow 2.21), so that the program does not end.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    options.autotune.enabled = False
    return dataset.with_options(options).prefetch(AHEAD)
