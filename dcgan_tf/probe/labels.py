"""Classes of images, from the labels of raw files or from the names of folders."""

from collections.abc import Sequence
from pathlib import PureWindowsPath

import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.data.binary import Arrays
from dcgan_tf.data.fetched import Tfds

MOST_CLASSES = 1000


def read_labels(source, names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Read the classes of images.

    Args:
        source: sources.open_source.
        names: of the images, as the source or the pack has them.

    Returns:
        The names of the classes, sorted, and int64 (images,): the class of each.

    Raises:
        UserError: no labels there, labels that do not fit the images, one class or too many.
    """
    flag = f"--data {source.where}"
    if isinstance(source, Tfds):
        raise UserError("labels are read from files; give a folder instead", flag=flag)
    if isinstance(source, Arrays):
        every = source.labels()
        if every is None:
            raise UserError(
                "no labels beside the images; put MNIST's *labels* files there, too", flag=flag
            )
        labels = [str(every[int(name)]) for name in names]
    else:
        labels = [PureWindowsPath(name).parent.name for name in names]
    classes, numbers = np.unique(labels, return_inverse=True)
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise UserError(
            f"images of {len(classes):,} classes, expected 2 to {MOST_CLASSES:,}: "
            "one folder a class, named as the class",
            flag=flag,
        )
    return classes.tolist(), numbers
