"""Batches with tf.data; the content of a batch is a function of its number alone.

Nothing here has a state, so a run that resumes at step 1,234 gets the batches that it would have
got, and several workers together get the batches of one.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dcgan_tf.common.config import ImageConfig
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.places import check_batch
from dcgan_tf.data.sources import open_source, recognize

AHEAD = 4  # batches that are read before they are asked for
_SETTINGS = (
    *("dataset", "crop", "fit", "background", "channels", "subset", "subset_seed"),
    *("max_bad", "max_pixels", "packs"),
)


def images_dataset(
    path: str | os.PathLike,
    image_size: int = 64,
    batch_size: int = 32,
    *,
    seed: int = 0,
    first_epoch: int = 0,
    **settings,
) -> tf.data.Dataset:
    """Make batches of the images in a folder or zip, for `DCGAN.fit` or anything else.

    Each iteration yields the next epoch, in another order: `model.fit(images_dataset(path),
    epochs=20)` trains on 20 of them. `.repeat()` makes it endless. Which images a batch holds
    depends on `seed` and the number of its epoch alone, so `first_epoch=5` resumes exactly where
    five epochs ended. The images are prepared once, into a folder of packs, and mapped from there.

    Args:
        path: a folder or a zip with images.
        image_size: height and width, pixels.
        batch_size: images in a batch; a rest of an epoch that fills none is left out.
        seed: seed of the order.
        first_epoch: number of the first epoch, from 0.
        settings: train.py's flags: crop ("center", or "left,upper,right,lower" in pixels), fit
            ("crop", "pad" or "stretch"), background, channels (3 or 1), subset, subset_seed,
            max_bad, max_pixels (megapixels), packs (the folder of packs, by default "data/packs"),
            dataset ("folder", "auto", or whose files they are).

    Returns:
        Elements {"image": uint8 (batch_size, image_size, image_size, channels), "index": int64
        (batch_size,)}, the number of each sample since the first epoch; `len` is the number of
        batches in an epoch.

    Raises:
        UserError: nothing there, too few or too many unusable images, a wrong value.

    Example:

    >>> from dcgan_tf import images_dataset
    >>> next(iter(images_dataset("images", image_size=16, batch_size=8)))["image"].shape
    TensorShape([8, 16, 16, 3])
    """
    for name in settings:
        if name not in _SETTINGS:
            raise TypeError(f"images_dataset: unknown {name!r}, expected one of {_SETTINGS}")
    settings = {"dataset": "folder", "crop": "center", **settings, "data": path, "seed": seed}
    config = recognize(ImageConfig(image_size=image_size, batch_size=batch_size, **settings))
    pixels = open_pack(config, open_source(config)).pixels
    check_batch(len(pixels), "batch_size", batch_size)
    steps = steps_per_epoch(len(pixels), batch_size)
    epochs = itertools.count(first_epoch)

    def numbers():  # TensorFlow calls it each time that the dataset is iterated
        epoch = next(epochs)
        yield from np.arange(epoch * steps, (epoch + 1) * steps)

    spec = tf.TensorSpec((), tf.int64)
    dataset = tf.data.Dataset.from_generator(numbers, output_signature=spec)
    dataset = dataset.map(_batch_loader(pixels, batch_size, seed))
    return _fix_options(dataset.apply(tf.data.experimental.assert_cardinality(steps)))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Count the whole batches in `count` images. A rest is left out, in each epoch another:
    a last batch of another size would recompile the step and skew BatchNorm."""
    return count // batch_size


@functools.lru_cache(maxsize=2)
def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Draw the order of the images in an epoch, int (count,), from NumPy's frozen stream."""
    return np.random.RandomState([seed, epoch]).permutation(count)


def batches(
    pixels: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    shards: int = 1,
    own: range | None = None,
) -> tf.data.Dataset:
    """Make an endless dataset of batches, or of this worker's shards of them.

    Args:
        pixels: uint8 (count, height, width, channels), may be mapped from disk.
        batch_size: images per step over all shards.
        first_step: number of the first batch.
        shards: number of devices that share a batch.
        own: the shards that this worker feeds, one dataset element each, by default all.

    Returns:
        Elements {"image": uint8 (n, height, width, channels), "index": int64 (n,)}.
    """
    own = own or range(shards)
    load = _batch_loader(pixels, batch_size, seed, shards)

    @tf.autograph.experimental.do_not_convert  # which takes time, and leaves files where killed
    def element(item):
        return load(first_step + item // len(own), own.start + item % len(own))

    return _fix_options(tf.data.Dataset.range(np.iinfo(np.int64).max).map(element))


def _batch_loader(pixels, batch_size, seed, shards=1) -> Callable:
    """Make a function for tf.data's map: number of a step, and of a shard, to an element.

    A sample's index is step * batch_size + its position; a shard is a contiguous part of a batch.
    """
    part, steps = batch_size // shards, steps_per_epoch(len(pixels), batch_size)

    def read(step, shard):
        epoch, position = divmod(int(step), steps)
        order = epoch_order(len(pixels), seed, epoch)
        places = np.arange(shard * part, (shard + 1) * part, dtype=np.int64)
        return pixels[order[position * batch_size + places]], places + step * batch_size

    @tf.autograph.experimental.do_not_convert
    def load(step, shard=0):
        shard = tf.cast(shard, tf.int64)
        image, index = tf.numpy_function(read, [step, shard], [tf.uint8, tf.int64])
        image = tf.ensure_shape(image, (part, *pixels.shape[1:]))
        return {"image": image, "index": tf.ensure_shape(index, (part,))}

    return load


def _fix_options(dataset):
    """Read a dataset a little ahead, and let TensorFlow change nothing.

    Sharding is done here; TensorFlow's own would read everything on every worker. And nothing is
    tuned while it runs: there is nothing to choose, and the thread that would choose can miss that
    the iterator is gone (TensorFlow 2.21), so that the program does not end.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    options.autotune.enabled = False
    return dataset.with_options(options).prefetch(AHEAD)
