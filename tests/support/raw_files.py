"""MNIST and CIFAR-10 as they are spread, in miniature: IDX, npz and binary files, zips and tars."""

import functools
import gzip
import io
import struct
import tarfile

import numpy as np
from helpers import write_zip

PARTS = {"t10k": slice(2), "train": slice(2, 5)}


def tar(files, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files):
    return write_zip(io.BytesIO(), files).getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def idx(array):
    magic = 2048 + array.ndim
    return struct.pack(f">{1 + array.ndim}i", magic, *array.shape) + array.tobytes()


@functools.cache
def digits():
    """Five images and their labels."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4), np.uint8)
    return pixels, np.array([3, 4, 5, 7, 8], np.uint8)


def idx_files(folder="", packed=True):
    suffix, write = (".gz", gzip.compress) if packed else ("", bytes)
    return {
        f"{folder}{part}-{kind}-idx{array.ndim}-ubyte{suffix}": write(idx(array[rows]))
        for part, rows in PARTS.items()
        for kind, array in zip(("images", "labels"), digits(), strict=True)
    }


def npz():
    (pixels, labels), kinds = digits(), {"test": slice(2), "train": slice(2, 5)}
    files = {f"x_{kind}.npy": npy(pixels[rows]) for kind, rows in kinds.items()}
    return files | {f"y_{kind}.npy": npy(labels[rows, None]) for kind, rows in kinds.items()}


def cifar_batches(count=2):
    record = bytes([6]) + bytes(range(32)) * 96
    return {"cifar-10-batches-bin/data_batch_1.bin": record * count, "b/readme.html": b"<html>"}
