"""Pictures stored raw in binary files: MNIST's IDX, CIFAR-10's batches."""

import gzip
import hashlib
import zlib

import numpy as np
from PIL import Image

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.images import encode


class Arrays:
    """Pictures that are stored raw in binary files: MNIST's IDX, CIFAR-10's batches."""

    def __init__(self, where, pixels):
        self.where, self._pixels = where, pixels
        self.names = [f"{index:06d}" for index in range(len(pixels))]

    @property
    def fingerprint(self):
        return hashlib.sha256(self._pixels.tobytes()).hexdigest()

    def read(self, indices):
        for index in indices:
            yield index, encode(Image.fromarray(self._pixels[index]), "PNG")


def read_idx(folder):
    """uint8 (n, 28, 28) of all IDX picture files in a folder, None where there are none.

    The format: http://yann.lecun.com/exdb/mnist: magic 2051, count, rows, columns, big-endian.
    """
    parts = []
    # Unpacked beside packed, as some programs leave them, is the same file: read it once.
    found = {path.name.removesuffix(".gz"): path for path in folder.glob("*images*idx3-ubyte.gz")}
    found |= {path.name: path for path in folder.glob("*images*idx3-ubyte") if path.is_file()}
    for _, path in sorted(found.items()):
        try:
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise UserError(f"--data {path}: a damaged gzip file; download it again") from None
        magic, count, rows, columns = np.frombuffer(raw[:16].ljust(16, b"\0"), ">i4")
        if magic != 2051 or len(raw) != 16 + count * rows * columns:
            raise UserError(f"--data {path}: not a whole IDX picture file; download it again")
        parts.append(np.frombuffer(raw, np.uint8, offset=16).reshape(count, rows, columns))
    return np.concatenate(parts) if parts else None


def read_cifar(folder):
    """uint8 (n, 32, 32, 3) of CIFAR-10's binary batches (a label byte, then planar RGB)."""
    parts = []
    for path in sorted(folder.glob("*_batch*.bin")):
        raw = np.frombuffer(path.read_bytes(), np.uint8)
        if raw.size == 0 or raw.size % 3073:
            raise UserError(f"--data {path}: not a whole CIFAR-10 binary batch; download it again")
        planar = raw.reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
        parts.append(planar.transpose(0, 2, 3, 1))
    return np.ascontiguousarray(np.concatenate(parts)) if parts else None
