"""Which class a picture is of: by MNIST's and CIFAR-10's own files, or by the folder it lies in."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.errors import UserError
from dcgan_tf.data.binary import LABEL_READERS

MOST_CLASSES = 1000


def read_labels(config, where, names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The classes of pictures.

    Args:
        config: config.Config, resolved; where: what the source or the pack says of its place;
            names: of the pictures, as the source or the pack has them.

    Returns:
        The names of the classes, sorted, and int64 (pictures,): the class of each.

    Raises:
        UserError: no labels there, labels that do not fit the pictures, one class or too many.
    """
    reader = LABEL_READERS.get(DATASETS[config.dataset].binary)
    flag = f"--data {where}"
    if config.data == "tfds":
        raise UserError("labels are read from files; give a folder instead", flag=flag)
    if reader is None or not Path(where).is_dir() or not all(name.isdigit() for name in names):
        found = [PurePosixPath(name).parent.name for name in names]
    else:
        every = reader(Path(where))
        if every is None or len(every) <= max(map(int, names)):
            raise UserError(
                f"{0 if every is None else len(every):,} labels beside the pictures, "
                f"expected {max(map(int, names)) + 1:,}; put MNIST's *labels* files there, too",
                flag=flag,
            )
        found = [str(every[int(name)]) for name in names]
    classes = sorted(set(found))
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise UserError(
            f"pictures of {len(classes):,} classes, expected 2 to {MOST_CLASSES:,}: "
            "one folder a class, named as the class",
            flag=flag,
        )
    number = {name: index for index, name in enumerate(classes)}
    return classes, np.array([number[name] for name in found])
