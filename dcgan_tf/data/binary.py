"""Images in raw arrays: MNIST's IDX files, CIFAR-10's binary batches, Keras' npz files."""

import contextlib
import gzip
import hashlib
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.common.log import on_one_line
from dcgan_tf.data.forms import other_names

_AT_ONCE = 2**20  # bytes: gzip hands out what it is asked for in one piece
_DAMAGED = (
    *(gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True)
class _Form:
    """One format of raw files.

    Attributes:
        names: pattern of the base names of files with images.
        shape: function of (open file, bytes in it) that reads the header and gives the shape of
            the uint8 array after it, None for a damaged header.
        title: of the format.
        label_name: function from such a base name to that of its labels; None: in the same file.
        label_shape: as `shape`, for the file of labels.
    """

    names: str
    shape: Callable
    title: str
    label_name: Callable | None = None
    label_shape: Callable | None = None


def _idx_shape(magic, axes):
    """http://yann.lecun.com/exdb/mnist: magic, then the length of each axis, big-endian."""

    def shape(file, _):
        size = 4 * (1 + axes)
        found, *lengths = struct.unpack(f">{1 + axes}i", file.read(size).ljust(size, b"\0"))
        return tuple(lengths) if found == magic and min(lengths) > 0 else None

    return shape


def _npy_shape(axes):
    def shape(file, _):
        try:
            version = np.lib.format.read_magic(file)
            header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            lengths, fortran, dtype = header(file)
        except (ValueError, AttributeError):  # an object array's pickle is never reached
            return None
        plain = dtype == np.uint8 and not fortran and len(lengths) in axes
        return lengths if plain and min(lengths) > 0 else None

    return shape


def _cifar_shape(_, size):
    """Records of a label and 32x32 pixels in planar RGB, without a header."""
    return (size // 3073, 3073) if size and size % 3073 == 0 else None


_NPY = _Form(
    r"x_(train|test)\.npy",
    _npy_shape((3, 4)),
    "uint8 NumPy",
    lambda name: name.replace("x_", "y_"),
    _npy_shape((1, 2)),
)
_FORMS = {
    "idx": (
        _Form(
            r".*images.*idx3-ubyte(\.gz)?",
            _idx_shape(2051, 3),
            "IDX",
            lambda name: name.replace("images", "labels").replace("idx3", "idx1"),
            _idx_shape(2049, 1),
        ),
        _NPY,
    ),
    "cifar": (_Form(r".*_batch.*\.bin", _cifar_shape, "CIFAR-10 binary"), _NPY),
}
EXAMPLES = {
    "idx": ("train-images-idx3-ubyte.gz", "mnist.npz"),
    "cifar": ("data_batch_1.bin", "cifar-10-binary.tar.gz"),
}


class Arrays:
    """Images in raw files.

    Args:
        files: the source that lists them, with `where` and `open(name)`.
        names: their names in it; form: their format.

    Raises:
        UserError: a damaged file, sizes that differ, or more than limits.RAW_BYTES.
    """

    left_out = {}

    def __init__(self, files, names, form):
        self.where, self._files, self._form, self._parts = files.where, files, form, names
        raw = self._read(names, form.shape, "image")
        self._pixels = _from_cifar(raw) if form.shape is _cifar_shape else raw
        self.names = [f"{index:06d}" for index in range(len(raw))]

    @property
    def fingerprint(self):
        return hashlib.sha256(self._pixels).hexdigest()

    def read(self, indices):
        for index in indices:
            yield index, encode(Image.fromarray(self._pixels[index]), "PNG")

    def labels(self):
        """uint8 (n,), or None where a file of images has no file of labels.

        Raises:
            UserError: a damaged file, or another count than of images.
        """
        if not self._form.label_name:
            return self._read(self._parts, self._form.shape, "label")[:, 0]
        parts = [self._label_file(name) for name in self._parts]
        if None in parts:
            return None
        labels = []
        for name, part in zip(self._parts, parts, strict=True):
            wanted = self._shape(name, self._form.shape, "image")[0]
            count = self._shape(part, self._form.label_shape, "label")[0]
            if count != wanted:
                raise UserError(
                    f"{count:,} labels, expected {wanted:,}, as many as there are images",
                    flag=self._flag(part),
                )
            labels.append(self._read([part], self._form.label_shape, "label").reshape(-1))
        return np.concatenate(labels)

    def _label_file(self, name):
        path = PurePosixPath(name)
        wanted = path.with_name(self._form.label_name(_key(name)))
        beside = [n for n in other_names(self._files.left_out) if _home(n) == _home(name)]
        return min((n for n in beside if _key(n) == wanted.name), key=len, default=None)

    def _read(self, names, shape_of, what):
        shapes = [self._shape(name, shape_of, what) for name in names]
        for name, shape in zip(names, shapes, strict=True):
            if shape[1:] != shapes[0][1:]:
                sizes = ["x".join(map(str, s[2:0:-1])) for s in (shapes[0], shape)]
                raise UserError(
                    f"images of two sizes, {sizes[0]} in {names[0]} and {sizes[1]} in {name}; "
                    "give a folder with files of one size",
                    flag=f"--data {self.where}",
                )
        _check_size(f"--data {self.where}", sum(map(_count, shapes)))
        raw, first = np.empty((sum(s[0] for s in shapes), *shapes[0][1:]), np.uint8), 0
        for name, shape in zip(names, shapes, strict=True):
            with self._opened(name) as (file, size):
                shape_of(file, size)  # past the header
                if not _fill(file, raw[first : first + shape[0]]) or file.read(1):
                    raise self._not_whole(name, what)
            first += shape[0]
        return raw

    def _shape(self, name, shape_of, what):
        with self._opened(name) as (file, size):
            shape = shape_of(file, size)
        if not shape:
            raise self._not_whole(name, what)
        _check_size(self._flag(name), _count(shape))
        return shape

    def _not_whole(self, name, what):
        return UserError(
            f"not a whole {self._form.title} {what} file; download it again", flag=self._flag(name)
        )

    def _flag(self, name):
        return on_one_line(f"--data {Path(self.where, name)}")

    @contextlib.contextmanager
    def _opened(self, name):
        """Yields a file of the source, unpacked if its name says .gz, and its size in the source.

        What fails becomes one line.
        """
        try:
            with self._files.open(name) as (file, size):
                yield (gzip.GzipFile(fileobj=file) if name.endswith(".gz") else file), size
        except BadFile as reason:
            raise UserError(f"{reason}; mend or remove it", flag=self._flag(name)) from None
        except _DAMAGED:
            raise UserError("damaged; download it again", flag=self._flag(name)) from None


def find_arrays(kind, source):
    """Arrays | None: the raw files of a data set among the files of a source.

    Args:
        kind: "idx" or "cifar", datasets.Dataset.binary.

    Raises:
        UserError: files in several folders, which may be of several data sets; as Arrays.
    """
    for form in _FORMS[kind]:
        pattern = re.compile(form.names)
        names = [name for name in other_names(source.left_out) if pattern.fullmatch(_base(name))]
        if names:
            return Arrays(source, _of_one_folder(names, source.where), form)
    return None


def _of_one_folder(names, where):
    """The names, sorted; of packed and unpacked, or copies in a folder named as the file, one."""
    homes = sorted({_home(name) for name in names})
    if len(homes) > 1:
        raise UserError(
            f"such files in {len(homes)} folders ({', '.join(homes[:3])}); give one of them",
            flag=f"--data {where}",
        )
    chosen = {}
    for name in sorted(names, key=lambda name: (name.count("/"), name.endswith(".gz"))):
        chosen.setdefault(_key(name), name)
    return [chosen[key] for key in sorted(chosen)]


def _base(name):
    return PurePosixPath(name).name


def _key(name):
    """The base name as all its variants have it: train-images.idx3-ubyte.gz is the same."""
    return _base(name).removesuffix(".gz").replace(".idx", "-idx")


def _home(name):
    """The folder of a file; of one in a folder of its own name, as Kaggle has them, the next."""
    folder = PurePosixPath(name).parent
    return str(folder.parent if _key(folder.name) == _key(name) else folder)


def _from_cifar(raw):
    return np.ascontiguousarray(raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _count(shape):
    """The product, in Python's integers, which do not overflow."""
    return int(np.prod(np.array(shape, object)))


def _fill(file, pixels):
    """bool: whether the file had as many bytes as the array takes."""
    flat = memoryview(pixels.reshape(-1))
    for start in range(0, len(flat), _AT_ONCE):
        part = file.read(min(_AT_ONCE, len(flat) - start))
        flat[start : start + len(part)] = part
        if len(part) < min(_AT_ONCE, len(flat) - start):
            return False
    return True


def _check_size(flag, size):
    if size > limits.RAW_BYTES:
        raise UserError(
            f"claims {limits.in_words(size)} of images, more than the "
            f"{limits.in_words(limits.RAW_BYTES)} that are read from such files; "
            "unpack them into images and give --dataset folder",
            flag=flag,
        )
