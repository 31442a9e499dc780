"""Images in raw arrays: MNIST's IDX files, CIFAR-10's binary batches, Keras' npz files."""

import gzip
import hashlib
import math
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.common.log import on_one_line
from dcgan_tf.data.forms import other_names

RAW_BYTES = 2**30  # an IDX or CIFAR-10 data set; MNIST has 55 MB, CIFAR-10 184 MB
_DAMAGED = (gzip.BadGzipFile, tarfile.TarError, EOFError, zlib.error)
EXAMPLES = {
    "idx": ("train-images-idx3-ubyte.gz", "mnist.npz"),
    "cifar": ("data_batch_1.bin", "cifar-10-binary.tar.gz"),
}


class _Form(NamedTuple):
    """A format of raw files."""

    title: str
    names: str  # pattern of the base names of files with images
    read_header: Callable[[IO[bytes] | gzip.GzipFile, int], tuple[int, ...]]  # the shape, or ()
    axes: tuple[int, ...]  # numbers of axes that images have
    labels: dict[str, str]  # words in a file's name -> those in its labels'; {}: it has both


def _read_idx_header(file: IO[bytes] | gzip.GzipFile, _: int) -> tuple[int, ...]:
    """http://yann.lecun.com/exdb/mnist: magic, then the length of each axis, big-endian."""
    start = file.read(4)
    axes = start[3] if len(start) == 4 and start[:3] == b"\0\0\x08" else 0
    lengths = file.read(4 * axes)
    return struct.unpack(f">{axes}i", lengths) if len(lengths) == 4 * axes else ()


def _read_npy_header(file: IO[bytes] | gzip.GzipFile, _: int) -> tuple[int, ...]:
    try:
        major, _ = np.lib.format.read_magic(file)
        shape, by_columns, dtype = getattr(np.lib.format, f"read_array_header_{major}_0")(file)
    except (ValueError, AttributeError):
        return ()
    return shape if dtype == np.uint8 and not by_columns else ()  # a pickle is never reached


def _read_cifar_header(_: IO[bytes] | gzip.GzipFile, size: int) -> tuple[int, ...]:
    """Records of a label and 32x32 pixels in planar RGB, without a header."""
    return size // 3073, 3073  # the reader refuses what is left over


_NPY = _Form("uint8 NumPy", r"x_(train|test)\.npy", _read_npy_header, (3, 4), {"x_": "y_"})
_IDX_LABELS = {"images": "labels", "idx3": "idx1"}
_FORMS = {
    "idx": (
        _Form("IDX", r".*images.*idx3-ubyte(\.gz)?", _read_idx_header, (3,), _IDX_LABELS),
        _NPY,
    ),
    "cifar": (_Form("CIFAR-10 binary", r".*_batch.*\.bin", _read_cifar_header, (2,), {}), _NPY),
}


class Arrays:
    """Images in raw files, a source as sources.py describes it.

    `files` is the source with `where`, `open(name)` and `size(name)`, which reads nothing; `names`
    are the files' names in it.

    Raises:
        UserError: a damaged file, sizes that differ, or more than RAW_BYTES.
    """

    left_out = {}

    def __init__(self, files: Any, names: Sequence[str], form: _Form):
        self.where, self._files, self._form = files.where, files, form
        parts, before = {}, 0
        for name in names:
            parts[name] = self._read(name, form.axes, "image", before)
            before += parts[name].nbytes
        sizes = {part.shape[1:]: name for name, part in parts.items()}
        if len(sizes) > 1:
            some = ", ".join(f"{size[1]}x{size[0]} in {name}" for size, name in sizes.items())
            raise UserError(
                f"images of {len(sizes)} sizes, {some}; give a folder with files of one size",
                flag=f"--data {self.where}",
            )
        self._counts = {name: len(part) for name, part in parts.items()}
        raw = np.concatenate([*parts.values()])
        self._labels = None
        if not form.labels:  # CIFAR-10: the label, then the planes
            self._labels, planes = raw[:, 0].copy(), raw[:, 1:].reshape(-1, 3, 32, 32)
            raw = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        elif raw.ndim == 4:
            if raw.shape[3] not in (1, 3):
                words = f"arrays of shape {raw.shape}, expected (n, height, width) or 1 or 3 "
                raise UserError(words + "channels as the last axis", flag=f"--data {self.where}")
            raw = raw[..., 0] if raw.shape[3] == 1 else raw
        self._pixels, self.shape = np.ascontiguousarray(raw), raw.shape[1:]
        self.names = [f"{index:06d}" for index in range(len(raw))]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self._pixels.data).hexdigest()

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        for index in indices:
            yield index, encode(Image.fromarray(self._pixels[index]), "PNG")

    def labels(self) -> np.ndarray | None:
        """Read the labels, uint8 (n,), or None where a file of images has no file of labels."""
        if not self._form.labels:
            return self._labels
        parts = []
        for name, count in self._counts.items():
            wanted = _key(name)
            for old, new in self._form.labels.items():
                wanted = wanted.replace(old, new)
            names = [n for n in other_names(self._files.left_out) if _home(n) == _home(name)]
            file = min((n for n in names if _key(n) == wanted), key=len, default=None)
            if file is None:
                return None
            part = self._read(file, (1, 2), "label").reshape(-1)
            if len(part) != count:
                raise UserError(
                    f"{len(part):,} labels, expected {count:,}, as many as there are images",
                    flag=self._flag(file),
                )
            parts.append(part)
        return np.concatenate(parts)

    def _read(self, name: str, axes: Sequence[int], what: str, before: int = 0) -> np.ndarray:
        """Read the array in a file, after `before` bytes in others."""
        content, count, why = b"", -1, ""
        try:
            with self._files.open(name) as packed:
                file = gzip.GzipFile(fileobj=packed) if name.endswith(".gz") else packed
                shape = self._form.read_header(file, self._files.size(name))
                if len(shape) in axes and min(shape) > 0:
                    count = math.prod(shape)
                    if before + count <= RAW_BYTES:
                        content = file.read(count + 1)
        except (BadFile, *_DAMAGED) as error:
            why = f"{one_line(error)}; mend it or download it again"
        if before + count > RAW_BYTES:
            why = (
                f"claims {limits.in_words(before + count)} of images, more than the "
                f"{limits.in_words(RAW_BYTES)} that are read from such files; "
                "unpack them into images and give --dataset folder"
            )
        elif len(content) != count:
            why = why or f"not a whole {self._form.title} {what} file; download it again"
        if why:
            raise UserError(why, flag=self._flag(name))
        return np.frombuffer(content, np.uint8).reshape(shape)

    def _flag(self, name: str) -> str:
        return on_one_line(f"--data {Path(self.where, name)}")


def find_arrays(kind: str, source: Any) -> Arrays | None:
    """Open the raw files of a data set, "idx" or "cifar", among the files of a source.

    Of packed and unpacked files, or copies in a folder named as the file, one is taken.

    Raises:
        UserError: files in several folders, which may be of several data sets; as Arrays.
    """
    for form in _FORMS[kind]:
        fits = re.compile(form.names).fullmatch
        names = [name for name in other_names(source.left_out) if fits(PurePosixPath(name).name)]
        homes = sorted({_home(name) for name in names})
        if len(homes) > 1:
            raise UserError(
                f"such files in {len(homes)} folders ({', '.join(homes[:3])}); give one of them",
                flag=f"--data {source.where}",
            )
        chosen = {}
        for name in sorted(names, key=lambda name: (name.count("/"), name.endswith(".gz"))):
            chosen.setdefault(_key(name), name)
        if chosen:
            return Arrays(source, [chosen[key] for key in sorted(chosen)], form)
    return None


def _key(name: str) -> str:
    """The base name as all its variants have it: train-images.idx3-ubyte.gz is the same."""
    return PurePosixPath(name).name.removesuffix(".gz").replace(".idx", "-idx")


def _home(name: str) -> str:
    """The folder of a file; of one in a folder of its own name, as Kaggle has them, the next."""
    folder = PurePosixPath(name).parent
    return str(folder.parent if _key(folder.name) == _key(name) else folder)
