"""Images of your own as tf.data in one call: `images_dataset("images/")`."""

from __future__ import annotations

import itertools
import os

import numpy as np
import tensorflow as tf

from dcgan_tf.common.config import ImageConfig
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.pipeline import load_batch, settled, steps_per_epoch
from dcgan_tf.data.places import check_batch
from dcgan_tf.data.sources import open_source


def images_dataset(
    path: str | os.PathLike,
    image_size: int = 64,
    batch_size: int = 32,
    *,
    seed: int = 0,
    first_epoch: int = 0,
    **settings,
) -> tf.data.Dataset:
    """Batches of the pictures in a folder or zip, for `DCGAN.fit` or anything else.

    Each time that it is iterated it gives the next epoch, in another order:
    `model.fit(images_dataset(path), epochs=20)` trains on 20 of them. `.repeat()` makes it endless.
    Which pictures a batch holds depends on `seed` and the number of its epoch alone, so
    `first_epoch=5` goes on exactly where five epochs ended. The pictures are prepared once, into a
    folder of packs, and mapped from there.

    Args:
        path: a folder or a zip with pictures.
        image_size: height and width, pixels.
        batch_size: pictures in a batch; a rest of an epoch that fills none is left out.
        seed: of the order.
        first_epoch: number of the first epoch, from 0.
        settings: crop ("center", or "left,upper,right,lower" in pixels), channels (3 or 1),
            subset, subset_seed, max_bad, max_pixels (megapixels), packs (the folder of packs, by
            default "data/packs"), dataset ("folder", or whose files they are): train.py's flags.

    Returns:
        tf.data.Dataset of {"image": uint8 (batch_size, image_size, image_size, channels), "index":
        int64 (batch_size,)}, the number of each sample since the first epoch; `len` is the number
        of batches in an epoch.

    Raises:
        UserError: nothing there, too few or too many unusable pictures, a wrong value.

    Example:

    >>> from dcgan_tf import images_dataset
    >>> next(iter(images_dataset("images", image_size=16, batch_size=8)))["image"].shape
    TensorShape([8, 16, 16, 3])
    """
    config = _config(path, image_size, batch_size, seed, settings)
    pixels = open_pack(config, open_source(config)).pixels
    check_batch(len(pixels), "batch_size", batch_size)
    steps = steps_per_epoch(len(pixels), batch_size)
    dataset = _numbers(steps, first_epoch).map(load_batch(pixels, batch_size=batch_size, seed=seed))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return settled(dataset)


def _numbers(steps, first_epoch):
    """A dataset of the numbers of an epoch's batches, of the next epoch each time."""
    epochs = itertools.count(first_epoch)

    def numbers():  # TensorFlow calls it each time that the dataset is iterated
        epoch = next(epochs)
        yield from np.arange(epoch * steps, (epoch + 1) * steps)

    return tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec((), tf.int64))


def _config(path, image_size, batch_size, seed, settings):
    known = ("dataset", "crop", "channels", "subset", "subset_seed", "max_bad", "max_pixels")
    known += ("packs",)
    for name in settings:
        if name not in known:
            raise TypeError(f"images_dataset: unknown setting {name!r}, expected one of {known}")
    values = {"dataset": "folder", "crop": "center", **settings, "data": path}
    values |= {"image_size": image_size, "batch_size": batch_size, "seed": seed}
    return ImageConfig(**values)
