"""Pictures stored raw in binary files: MNIST's IDX, CIFAR-10's batches."""

import gzip
import hashlib
import os
import struct
import zlib

import numpy as np
from PIL import Image

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, open_regular, reason
from dcgan_tf.common.images import encode

_AT_ONCE = 2**20  # bytes: gzip hands out what it is asked for in one piece
_NOT_WHOLE_IDX = "not a whole IDX picture file; download it again"


class Arrays:
    """Pictures that are stored raw in binary files: MNIST's IDX, CIFAR-10's batches."""

    left_out = {}

    def __init__(self, where, pixels):
        self.where, self._pixels = where, pixels
        self.names = [f"{index:06d}" for index in range(len(pixels))]

    @property
    def fingerprint(self):
        return hashlib.sha256(self._pixels).hexdigest()

    def read(self, indices):
        for index in indices:
            yield index, encode(Image.fromarray(self._pixels[index]), "PNG")


def read_idx(folder):
    """uint8 (n, height, width) of all IDX picture files in a folder, None where there are none.

    The format: http://yann.lecun.com/exdb/mnist: magic 2051, count, rows, columns, big-endian.

    Raises:
        UserError: a damaged file, sizes that differ, or more than limits.RAW_BYTES.
    """
    paths = _idx_files(folder, "*images*idx3-ubyte")
    shapes = [_idx_shape(path) for path in paths]
    for path, shape in zip(paths, shapes, strict=True):
        if shape[1:] != shapes[0][1:]:
            sizes = [f"{width}x{height}" for _, height, width in (shapes[0], shape)]
            raise UserError(
                f"pictures of two sizes, {sizes[0]} in {paths[0].name} and "
                f"{sizes[1]} in {path.name}; give a folder with files of one size",
                flag=f"--data {folder}",
            )
    if not paths:
        return None
    _check_raw(folder, sum(count * height * width for count, height, width in shapes))
    pixels = np.empty((sum(shape[0] for shape in shapes), *shapes[0][1:]), np.uint8)
    first = 0
    for path, shape in zip(paths, shapes, strict=True):
        with _Unpacked(path) as file:
            file.read(16)
            whole = _fill(file, pixels[first : first + shape[0]]) and not file.read(1)
        if not whole:
            raise UserError(_NOT_WHOLE_IDX, flag=f"--data {path}")
        first += shape[0]
    return pixels


def _idx_files(folder, pattern):
    """list[Path]: sorted. Unpacked beside packed, as some programs leave them, is the same file."""
    found = {path.name.removesuffix(".gz"): path for path in folder.glob(f"{pattern}.gz")}
    found |= {path.name: path for path in folder.glob(pattern) if not path.is_dir()}
    return [path for _, path in sorted(found.items())]


def read_idx_labels(folder):
    """uint8 (n,): the labels of all pictures of `read_idx`, in its order, or None where a file of
    pictures has no file of labels. The format: magic 2049, count, then a byte a label.

    Raises:
        UserError: a damaged file, another count than of pictures, or more than limits.RAW_BYTES.
    """
    parts = []
    for pictures in _idx_files(folder, "*images*idx3-ubyte"):
        name = pictures.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
        path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
        if path is None:
            return None
        parts.append(_idx_labels(path, _idx_shape(pictures)[0]))
    return np.concatenate(parts) if parts else None


def _idx_labels(path, wanted):
    with _Unpacked(path) as file:
        magic, count = struct.unpack(">2i", file.read(8).ljust(8, b"\0"))
        if magic != 2049 or count < 1:
            raise UserError("not a whole IDX label file", flag=f"--data {path}")
        if count != wanted:
            raise UserError(
                f"{count:,} labels, expected {wanted:,}, as many as there are pictures",
                flag=f"--data {path}",
            )
        _check_raw(path, count)
        labels = np.empty(count, np.uint8)
        whole = _fill(file, labels) and not file.read(1)
    if not whole:
        raise UserError("not a whole IDX label file; download it again", flag=f"--data {path}")
    return labels


def _idx_shape(path):
    """(count, height, width) that the file's first 16 bytes claim."""
    with _Unpacked(path) as file:
        magic, *shape = struct.unpack(">4i", file.read(16).ljust(16, b"\0"))
    if magic != 2051 or min(shape) < 1:
        raise UserError(_NOT_WHOLE_IDX, flag=f"--data {path}")
    _check_raw(path, shape[0] * shape[1] * shape[2])
    return tuple(shape)


class _Unpacked:
    """A file opened for reading, through gzip if its name says so; what fails becomes a line."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        try:
            self._raw = open_regular(self._path)
        except (BadFile, OSError) as error:
            message = f"cannot be read ({reason(error)}); mend or remove it"
            raise UserError(message, flag=f"--data {self._path}") from None
        return gzip.GzipFile(fileobj=self._raw) if self._path.suffix == ".gz" else self._raw

    def __exit__(self, kind, error, trace):
        self._raw.close()
        if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
            message = "a damaged gzip file; download it again"
            raise UserError(message, flag=f"--data {self._path}") from None


def _fill(file, pixels):
    """bool: whether the file had as many bytes as the array takes."""
    flat = memoryview(pixels.reshape(-1))
    for start in range(0, len(flat), _AT_ONCE):
        part = file.read(min(_AT_ONCE, len(flat) - start))
        flat[start : start + len(part)] = part
        if len(part) < min(_AT_ONCE, len(flat) - start):
            return False
    return True


def _check_raw(path, size):
    if size > limits.RAW_BYTES:
        raise UserError(
            f"claims {limits.in_words(size)} of pictures, more than the "
            f"{limits.in_words(limits.RAW_BYTES)} that are read from such files; "
            "unpack them into pictures and give --dataset folder",
            flag=f"--data {path}",
        )


def read_cifar(folder):
    """uint8 (n, 32, 32, 3) of CIFAR-10's binary batches (a label byte, then planar RGB).

    Raises:
        UserError: a damaged file, or more than limits.RAW_BYTES.
    """
    paths = sorted(folder.glob("*_batch*.bin"))
    counts = [_cifar_count(path) for path in paths]
    _check_raw(folder, sum(counts) * 3072)
    pixels = np.empty((sum(counts), 32, 32, 3), np.uint8)
    first = 0
    for path, count in zip(paths, counts, strict=True):
        with _Unpacked(path) as file:
            for row in range(first, first + count):
                record = np.frombuffer(file.read(3073), np.uint8)
                if record.size != 3073:
                    raise UserError("ended while it was read; try again", flag=f"--data {path}")
                pixels[row] = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
        first += count
    return pixels if paths else None


def read_cifar_labels(folder):
    """uint8 (n,) of CIFAR-10's binary batches, in the order of `read_cifar`; None: there are none.

    Raises:
        UserError: a damaged file, or more than limits.RAW_BYTES.
    """
    parts = []
    for path in sorted(folder.glob("*_batch*.bin")):
        count = _cifar_count(path)
        _check_raw(path, count * 3073)
        with _Unpacked(path) as file:
            parts.append(np.frombuffer(file.read(count * 3073), np.uint8)[::3073])
    return np.concatenate(parts) if parts else None


def _cifar_count(path):
    with _Unpacked(path) as file:
        size = os.fstat(file.fileno()).st_size
    if size == 0 or size % 3073:
        raise UserError(
            "not a whole CIFAR-10 binary batch; download it again", flag=f"--data {path}"
        )
    return size // 3073


READERS = {"idx": read_idx, "cifar": read_cifar}
LABEL_READERS = {"idx": read_idx_labels, "cifar": read_cifar_labels}
