"""Labels of images: classes from folders or label files, attributes from a table."""

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import numpy as np

from dcgan_tf.common.config import Config
from dcgan_tf.common.directions import NAME_CHARACTERS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, check_bytes
from dcgan_tf.common.labels import MOST, Labels
from dcgan_tf.common.limits import counted
from dcgan_tf.common.suggestions import unknown
from dcgan_tf.data.attribute_table import MOST_BYTES, base_of, read_attributes
from dcgan_tf.data.binary import Arrays
from dcgan_tf.data.forms import other_names
from dcgan_tf.data.hugging_face import HubImages
from dcgan_tf.data.places import Tfds
from dcgan_tf.data.sources import Drawn, Folder, Source, Zip

TABLES = ("list_attr_celeba.csv", "list_attr_celeba.txt")  # as Kaggle and CelebA's authors have it
CLASS = "class"  # config.labels for classes
CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def read_labels(config: Config, source: Source) -> tuple[list[str], np.ndarray]:
    """Read the labels that `config.labels` asks for: names, and uint8 (images, names) of 0 and 1.

    Raises:
        UserError: no labels there, an unknown attribute, or images that the table does not have.
    """
    if isinstance(source, Tfds | Drawn):
        raise no_labels(config)
    if config.label_names:
        return _read_table(config, source)
    if config.labels != CLASS or config.label_table:
        words = f"got label_table {config.label_table!r} with it; expected class without a table, "
        words += "or some columns of a table, such as Smiling,Male"
        raise UserError(words, flag=f"--labels {config.labels!r}")
    names, numbers = read_classes(source, source.names, MOST)
    if isinstance(source, Arrays) and source.shape[2:] and max(map(int, names)) < len(CIFAR10):
        names = [CIFAR10[int(name)] for name in names]
    for name in names:
        if not (name.isprintable() and 0 < len(name) <= NAME_CHARACTERS):
            first = source.names[numbers.tolist().index(names.index(name))]
            at = "class of row" if isinstance(source, HubImages) else "folder of"
            words = f"the {at} {first} is no name of a class, 1 to {NAME_CHARACTERS} printable "
            words += "characters; give each class a name"
            raise UserError(words, flag=f"--data {source.where}")
    return names, np.eye(len(names), dtype=np.uint8)[numbers]


def no_labels(config: Config) -> UserError:
    """Make the error for images that come without labels."""
    where = "TensorFlow Datasets" if config.data == "tfds" else "the drawn faces of the demo"
    words = f"no labels are read from {where}; give the files themselves with --data"
    return UserError(f"{words} (docs/labels.md)", flag=f"--labels {config.labels}")


def make_labels(config: Config, source: Source) -> Labels:
    """Make the labels of a generator from those of the images."""
    names, rows = read_labels(config, source)
    return Labels.of(names, config.labels == CLASS, rows)


def read_classes(source: Source, names: Sequence[str], most: int) -> tuple[list[str], np.ndarray]:
    """Read sorted classes, and int64 (images,): labels of raw files or rows, or folders' names."""
    flag, known = f"--data {source.where}", []
    if isinstance(source, Arrays):
        every = source.labels()
        if every is None:
            words = "no labels next to the images; put MNIST's *labels* files there, too"
            raise UserError(words, flag=flag)
        labels = [str(every[int(name)]) for name in names]
    elif isinstance(source, HubImages):
        known, every = source.labels()
        labels = [every[int(name)] for name in names]
    else:
        labels = [PureWindowsPath(name).parent.name for name in names]
    unique, numbers = np.unique(labels, return_inverse=True)
    classes = [known[number] if known else number for number in unique.tolist()]
    if not 2 <= len(classes) <= most:
        words = f"images of {len(classes):,} classes, expected 2 to {most:,}"
        raise UserError(words + ": use one folder per class" * (not known), flag=flag)
    return classes, numbers


def _read_table(config: Config, source: Source) -> tuple[list[str], np.ndarray]:
    where, file = config.label_table, Path(config.label_table)
    if not where:
        where, file = _find_table(config, source)
    flag, wanted = f"--label-table {where}", config.label_names
    table, rows = read_attributes(file, [source.names], flag)
    for name in wanted:
        if name not in table:
            raise UserError(unknown("attribute", name, table), flag=f"--labels {config.labels}")
    bases = [*map(base_of, source.names)]
    if missing := [base for base in bases if base not in rows]:
        words = f"has not {counted(len(missing), 'image')} of {len(bases):,}, such as {missing[0]}"
        raise UserError(f"{words}; give the table of these, or leave them out", flag=flag)
    places = [table.index(name) for name in wanted]
    return list(wanted), np.array([rows[base][places] for base in bases], np.uint8)


def _find_table(config: Config, source: Source) -> tuple[str, Path | bytes]:
    """Find CelebA's table among the images' files or beside them: its name, and it or its content.

    Kaggle's archive has it among them; its authors and torchvision have it beside a zip of images.
    """
    flag = f"--labels {config.labels}"
    if not isinstance(source, Folder | Zip):
        raise UserError(f"{source.where} has no table of attributes; expected class", flag=flag)
    others = [(PureWindowsPath(name).name, name) for name in other_names(source.left_out)]
    if found := sorted(pair for pair in others if pair[0] in TABLES):
        where = f"{source.where}/{found[0][1]}"
        try:
            with source.open(found[0][1]) as file:
                content = file.read(MOST_BYTES + 1)
                check_bytes(len(content), MOST_BYTES, "that are read")
        except BadFile as bad:
            raise UserError(str(bad), flag=f"--label-table {where}") from None
        return where, content
    above = Path(source.where).absolute().parents
    for path in (folder / name for folder in above[:2] for name in TABLES):
        if path.is_file():
            return str(path), path
    words = f"no {' or '.join(TABLES)} in {source.where} or beside it; name a table with "
    words += "--label-table, or use --labels class, which takes the names of folders"
    raise UserError(words, flag=flag)
