"""Files of a pack: write, read and check its manifest and pixels.

Packs of earlier versions have `pixels.u8`, the same bytes as `pixels.npy` without the header.
"""

import hashlib
import json
import os

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.foreign import BadFile, json_object, open_regular
from dcgan_tf.common.progress import progress

HEADER = 128  # bytes before the pixels in pixels.npy
_CHECK_AT_ONCE = 8 * 2**20  # bytes
_NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_checked = set()  # files whose digest this process has found right


def is_whole(folder):
    """bool: whether a folder is a pack whose pixels are as they were written.

    Their SHA-256 is computed once in a process, so that damage on the disk is not trained on.

    Raises:
        OSError: they cannot be read at the moment, which says nothing about them.
    """
    manifest = read_manifest(folder)
    try:
        pixels = map_pixels(folder, manifest)
        status = os.stat(pixels.filename)
    except (*_NOT_THERE, ValueError, TypeError, OverflowError):
        return False
    state = (str(folder), status.st_ino, status.st_size, status.st_mtime_ns)
    if state not in _checked and _sha256(pixels) == manifest["pixels_sha256"]:
        _checked.add(state)
    return state in _checked


def read_manifest(folder):
    """dict | None: where there is none of the kind that is written here, None.

    Raises:
        OSError: it cannot be read at the moment.
    """
    try:
        with open_regular(folder / "manifest.json") as file:
            manifest = json_object(file.read(limits.MANIFEST_BYTES))
    except (*_NOT_THERE, BadFile):
        return None
    kinds = {"shape": list, "pixels_sha256": str, "skipped": dict, "names": list, "where": str}
    right = all(isinstance(manifest.get(key), kind) for key, kind in kinds.items())
    return manifest if right else None


def map_pixels(folder, manifest):
    """numpy.memmap of a pack's pixels; ValueError or TypeError where they are not whole."""
    if manifest is None:
        raise ValueError("no manifest")
    shape = tuple(manifest["shape"])
    path, header = folder / "pixels.npy", npy_header(shape)
    if not path.exists():
        path, header = folder / "pixels.u8", b""
    with open_regular(path) as file:
        right = file.read(len(header)) == header
    if not right or path.stat().st_size != len(header) + int(np.prod(shape)):
        raise ValueError("not the pixels of this manifest")
    return np.memmap(path, np.uint8, "r", offset=len(header), shape=shape)


def _sha256(pixels):
    sha256, flat = hashlib.sha256(), pixels.reshape(-1)
    with progress(pixels.nbytes >> 20, "checking the prepared pictures", "MB") as bar:
        for start in range(0, flat.size, _CHECK_AT_ONCE):
            sha256.update(flat[start : start + _CHECK_AT_ONCE])
            bar.update(_CHECK_AT_ONCE >> 20)
    return sha256.hexdigest()


def npy_header(shape):
    """bytes: what comes before the data in a .npy file of uint8, always HEADER bytes long."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    length = HEADER - 10
    return (
        b"\x93NUMPY\x01\0" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"
    )


def write_manifest(folder, manifest):
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")
