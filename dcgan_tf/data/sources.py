"""Where pictures come from. A source knows names and encoded pictures, no sizes and no ranges.

Each source has `names` (sorted, so that a choice of pictures does not depend on how they are
stored), `fingerprint` (changes when the pictures do), `where` (for messages), `left_out` ({name:
reason} of what lies there beside them) and `read(indices)`, which yields (index, encoded bytes or
BadPicture) in that order.
"""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import DATASETS, FETCHED
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.files import digest
from dcgan_tf.common.images import encode, picture_suffixes
from dcgan_tf.data.binary import READERS, Arrays
from dcgan_tf.data.kaggle import fetch
from dcgan_tf.data.places import DRAWN, find
from dcgan_tf.data.reading import BadPicture, open_zip, read_file, read_member, reason
from dcgan_tf.data.synthetic import DRAWING_VERSION, draw_face

DRAWN_FACES = 20_000  # how many faces the demo could draw; only the chosen ones are
LIMIT = limits.picture_bytes(limits.MEGAPIXELS)
NO_PICTURE = "no picture by its name"
_HEIC = "HEIC needs one package more: pip install pillow-heif"
# Kinds of pictures that are not read, or not here, so that nobody looks for them in vain.
_UNREAD = {
    **dict.fromkeys((".heic", ".heif"), _HEIC),
    ".avif": "this Pillow reads no AVIF: pip install --upgrade pillow",
    **dict.fromkeys(
        (".jxl", ".jp2", ".j2k", ".psd", ".xcf", ".svg", ".eps", ".ps", ".tga", ".ico", ".exr"),
        "pictures of this kind are not read: convert them to PNG or JPEG",
    ),
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
        "a camera's raw file: convert it to PNG or JPEG",
    ),
}


class Folder:
    """All pictures in a folder and the folders below it; links to folders are not followed.

    Args:
        root: the folder; limit: bytes of the largest file that is read; where: what it is called
            in messages, by default `root`.
    """

    def __init__(self, root, limit=LIMIT, where=None):
        self._root, self._limit = Path(root), limit
        self.where = where or self._root
        self.left_out = {}
        names = []
        for folder, folders, files in os.walk(self._root, onerror=self._unreadable):
            for name in files:
                path = Path(folder, name).relative_to(self._root)
                why = left_out(path)
                if why:
                    self.left_out[path.as_posix()] = why
                else:
                    names.append(path.as_posix())
            for name in folders:
                if os.path.islink(os.path.join(folder, name)):
                    path = Path(folder, name).relative_to(self._root)
                    self.left_out[path.as_posix()] = "a link to a folder: name that with --data"
        self.names = sorted(names)

    def _unreadable(self, error):
        path = Path(error.filename)
        if path == self._root:
            raise UserError(f"this folder cannot be read ({reason(error)})", flag=f"--data {path}")
        name = path.relative_to(self._root).as_posix() + "/"
        self.left_out[name] = f"this folder cannot be read ({reason(error)})"

    @property
    def fingerprint(self):
        stats = ((name, _stat(self._root / name)) for name in self.names)
        return digest([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])

    def read(self, indices):
        for index in indices:
            try:
                yield index, read_file(self._root / self.names[index], self._limit)
            except BadPicture as bad:  # a broken link, a pipe, not ours to read, too large
                yield index, bad


def _stat(path):
    try:
        return path.stat()
    except OSError:  # a broken link
        return path.lstat()


class Zip:
    """All pictures in a zip, such as the Kaggle archive as it was downloaded.

    Args:
        path: the file; limit: bytes of the largest entry that is read.
    """

    def __init__(self, path, limit=LIMIT):
        self.where, self._limit = Path(path), limit
        try:
            with open_zip(path) as archive:
                files = [info for info in archive.infolist() if not info.is_dir()]
        except BadPicture as bad:
            raise UserError(str(bad), flag=f"--data {path}") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise UserError(
                f"not a whole zip file ({error}); download it again or unpack it",
                flag=f"--data {path}",
            ) from None
        last = {info.filename: info for info in files}  # of equal names unzip, too, keeps the last
        whys = {name: left_out(name) for name in last}
        self.left_out = {name: why for name, why in whys.items() if why}
        self._infos = [last[name] for name in sorted(whys.keys() - self.left_out.keys())]
        for name in {info.filename for info in files if info is not last[info.filename]}:
            self.left_out.setdefault(f"{name} (again)", "a name comes twice: the last one is taken")
        self.names = [info.filename for info in self._infos]
        self.fingerprint = digest([(i.filename, i.file_size, i.CRC) for i in self._infos])

    def read(self, indices):
        with open_zip(self.where) as archive:
            for index in indices:
                try:
                    yield index, read_member(archive, self._infos[index], self._limit)
                except BadPicture as bad:
                    yield index, bad


class Tfds:
    """A data set of TensorFlow Datasets, all splits; downloaded if it must be."""

    left_out = {}

    def __init__(self, dataset):
        name = DATASETS[dataset].tfds
        self.where = f"tfds:{name}"
        try:
            import tensorflow_datasets as tfds  # of which a protobuf of another major leaves a part

            self._examples, info = tfds.load(
                name,
                split="all",
                decoders={"image": tfds.decode.SkipDecoding()},
                shuffle_files=False,
                with_info=True,
            )
        except ModuleNotFoundError:
            raise  # one of ours, not of the download: the caller says what to install
        except Exception as error:  # TFDS has no common class for what can fail
            raise UserError(_tfds_failure(dataset, error), flag="--data tfds") from None
        self.names = [f"{index:06d}" for index in range(len(self._examples))]
        self.fingerprint = digest([info.full_name, len(self.names)])

    def read(self, indices):
        """Files of TFDS are read from front to back, so the order is that of the data set."""
        wanted = set(indices)
        for position, example in enumerate(self._examples):
            if position in wanted:
                yield position, example["image"].numpy()


class Drawn:
    """The demo's faces, drawn when they are asked for and handed on as JPEG."""

    where = DRAWN
    left_out = {}
    names = [f"{index:06d}.jpg" for index in range(DRAWN_FACES)]
    fingerprint = f"drawing-{DRAWING_VERSION}"

    def read(self, indices):
        for index in indices:
            yield index, encode(draw_face(index), "JPEG", quality=92)


def open_source(config):
    """Open the pictures that a config asks for.

    Returns:
        A source with at least one picture.

    Raises:
        UserError: nothing there, nothing usable there, or fewer pictures than --subset.
    """
    place = find(config)
    if config.dataset == "demo":
        source = Drawn()
    elif config.data == "tfds":
        source = Tfds(config.dataset)
    elif config.data == "kaggle":
        source = Folder(fetch(config.dataset), limits.picture_bytes(config.max_pixels), place)
    else:
        source = _open_path(config, place)
    if not source.names:
        raise UserError(
            f"no pictures there ({', '.join(picture_suffixes())})" + _few(source.left_out),
            flag=f"--data {source.where}",
        )
    if config.subset > len(source.names):
        own = ", or add --dataset folder if they are your own" if config.dataset == "celeba" else ""
        raise UserError(
            f"larger than the data, {limits.counted(len(source.names), 'picture')} in "
            f"{source.where}; use {len(source.names)} or fewer{own}",
            flag=f"--subset {config.subset}",
        )
    return source


def check_named(config, data):
    """Refuse what --data, or a place, names in vain, before the seconds that TensorFlow takes."""
    if data and data not in FETCHED:
        open_source(replace(config, data=data, subset=0))


def _open_path(config, path):
    limit = limits.picture_bytes(config.max_pixels)
    if path.is_file():
        if path.stat().st_size == 0:
            raise UserError("the file is empty; download it again", flag=f"--data {path}")
        return Zip(path, limit)
    if not path.is_dir():
        raise UserError(
            "neither a folder nor a regular file; give one of the two", flag=f"--data {path}"
        )
    binary = READERS.get(DATASETS[config.dataset].binary)
    pixels = binary(path) if binary else None
    if pixels is not None:
        return Arrays(path, pixels)
    source = Folder(path, limit)
    archives = sorted(path.glob("*.zip"))
    return source if source.names or len(archives) != 1 else Zip(archives[0], limit)


def left_out(name):
    """str: why a file is not taken for a picture, "" where it is.

    Its name decides; macOS' `._name` shadows in archives are none.
    """
    path = Path(name)
    suffix = path.suffix.lower()
    if path.name.startswith("._"):
        return NO_PICTURE
    return "" if suffix in picture_suffixes() else _UNREAD.get(suffix, NO_PICTURE)


def _few(left):
    """str: the kinds of pictures that were left out, for the end of a message."""
    named = [(name, why) for name, why in left.items() if why != NO_PICTURE]
    return f"; left out: {named[0][0]} and {len(named) - 1} more: {named[0][1]}" if named else ""


def _tfds_failure(dataset, error):
    quota = (
        " (CelebA lies on Google Drive, whose daily quota is often used up: "
        f"try again tomorrow, or take {DATASETS[dataset].page} with --data archive.zip)"
        if dataset == "celeba"
        else ""
    )
    return f"{DATASETS[dataset].tfds} could not be loaded: {one_line(error)}{quota}"
