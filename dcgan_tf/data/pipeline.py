"""Batches with tf.data; the content of a batch depends only on its number.

Nothing here has state, so a run that resumes at step 1,234 gets the same batches as without the
interruption, and several workers together get the same batches as one.
"""

from __future__ import annotations

import functools
import itertools
import os
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf.common.config import ImageConfig
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.places import check_batch
from dcgan_tf.data.sources import open_source, recognize

Numbers = tf.data.Dataset[tf.Tensor]
AHEAD = 4  # batches read in advance
_SETTINGS = (
    *("dataset", "crop", "fit", "background", "channels", "subset", "subset_seed"),
    *("max_bad", "max_pixels", "packs"),
)


def images_dataset(
    path: str | os.PathLike[str],
    image_size: int = 64,
    batch_size: int = 32,
    *,
    seed: int = 0,
    first_epoch: int = 0,
    **settings: Any,
) -> tf.data.Dataset[dict[str, tf.Tensor]]:
    """Make batches of the images in a folder or zip, for `DCGAN.fit` or any other use.

    Each iteration yields the next epoch, in another order: `model.fit(images_dataset(path),
    epochs=20)` trains for 20 epochs. The order depends only on `seed` and the number of the epoch,
    so `first_epoch=5` resumes exactly after five epochs. The images are prepared once, into a pack,
    and memory-mapped from there.

    Args:
        path: a folder or a zip with images, or `hf:NAME[:SPLIT[:COLUMN]]`.
        image_size: height and width in pixels.
        batch_size: images in a batch; incomplete batches are dropped.
        seed: seed of the order.
        first_epoch: number of the first epoch, from 0.
        settings: fields of Config: crop ("center", or "left,upper,right,lower" in pixels), fit
            ("crop", "pad" or "stretch"), background, channels (3 or 1), subset, subset_seed,
            max_bad, max_pixels (megapixels), packs (the folder of packs, by default "data/packs"),
            dataset ("folder", "auto", or the name of a data set).

    Returns:
        Elements {"image": uint8 (batch_size, image_size, image_size, channels), "index": int64
        (batch_size,)}, where index counts the samples from epoch 0. `len` is the number of batches
        in an epoch.

    Raises:
        UserError: no images, too few images, too many unusable ones, or a wrong value.

    Examples:
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
    steps = len(pixels) // batch_size
    epochs = itertools.count(first_epoch)

    def numbers():  # called at each iteration of the dataset
        epoch = next(epochs)
        yield from np.arange(epoch * steps, (epoch + 1) * steps)

    spec = tf.TensorSpec((), tf.int64)
    dataset = tf.data.Dataset.from_generator(numbers, output_signature=spec)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return _load(dataset, pixels, batch_size, seed, 1, range(1))


@functools.lru_cache(maxsize=2)
def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Draw the order of the images in an epoch, int (count,), from NumPy's stable RandomState."""
    return np.random.RandomState([seed, epoch]).permutation(count)


def batches(
    pixels: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    shards: int = 1,
    own: range | None = None,
    labels: np.ndarray | None = None,
) -> tf.data.Dataset[dict[str, tf.Tensor]]:
    """Make an endless dataset of batches, or of this worker's shards of them.

    Args:
        pixels: uint8 (count, height, width, channels), possibly memory-mapped.
        batch_size: images per step over all shards, which are the devices that share a batch.
        first_step: number of the first batch.
        own: the shards of this worker, one dataset element each; by default all.
        labels: uint8 (count, labels), the labels of the images.

    Returns:
        Elements {"image": uint8 (n, height, width, channels), "index": int64 (n,)}, and with
        labels "label": uint8 (n, labels).
    """
    own = own or range(shards)
    numbers = tf.data.Dataset.range(first_step * len(own), np.iinfo(np.int64).max)
    return _load(numbers, pixels, batch_size, seed, shards, own, labels)


def _load(
    numbers: Numbers,
    pixels: np.ndarray,
    batch_size: int,
    seed: int,
    shards: int,
    own: range,
    labels: np.ndarray | None = None,
) -> tf.data.Dataset[dict[str, tf.Tensor]]:
    """Map the numbers of a worker's elements, counted from the first step, to the elements.

    The index of a sample is step * batch_size + position; a shard is a contiguous part of a batch.
    """
    # The rest is dropped: a smaller last batch would recompile the step and bias BatchNorm.
    part, steps = batch_size // shards, len(pixels) // batch_size

    def read(number: np.int64) -> tuple[np.ndarray, ...]:
        step, shard = divmod(int(number), len(own))
        epoch, position = divmod(step, steps)
        order = epoch_order(len(pixels), seed, epoch)
        places = np.arange(part, dtype=np.int64) + (own.start + shard) * part
        rows, index = order[position * batch_size + places], places + step * batch_size
        return pixels[rows], index, *([] if labels is None else [labels[rows]])

    @tf.autograph.experimental.do_not_convert  # slow, and leaves files behind if killed
    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        kinds = [tf.uint8, tf.int64] + [tf.uint8] * (labels is not None)
        image, index, *label = tf.numpy_function(read, [number], kinds)
        image = tf.ensure_shape(image, (part, *pixels.shape[1:]))
        batch = {"image": image, "index": tf.ensure_shape(index, (part,))}
        if labels is not None:
            batch["label"] = tf.ensure_shape(label[0], (part, labels.shape[1]))
        return batch

    options = tf.data.Options()
    # TensorFlow's own sharding would read everything on every worker. In TensorFlow 2.21 the thread
    # of autotuning may not notice that the iterator is gone, and the program does not end.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    options.autotune.enabled = False
    return numbers.map(load).with_options(options).prefetch(AHEAD)
