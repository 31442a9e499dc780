"""Images to score: generated ones, and rows of a pack."""

import hashlib

import keras
import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest
from dcgan_tf.data.pack import Pack
from dcgan_tf.metrics.features import Images
from dcgan_tf.models.ema import NAME as EMA
from dcgan_tf.models.sampling import CHUNK, Sampler, weights_sha256

SCORED_BYTES = 2**26  # of images that are read at once
BATCH = 256


def generated(generator: keras.Model, count: int, seed: int = 0) -> Images:
    """Generate images from the seeds seed * count to (seed + 1) * count - 1."""
    there_are = limits.SEED + 1
    if (seed + 1) * count > there_are:
        largest = there_are // count - 1
        raise UserError(f"--seed {seed}: expected {largest:,} at most for {count:,} images")
    sampler, first = Sampler(generator), seed * count

    def read():
        for start in range(first, first + count, CHUNK):
            seeds = range(start, min(start + CHUNK, first + count))
            yield sampler.array(sampler.latents(seeds))

    made_by = {
        "generator_sha256": weights_sha256(generator),
        "weights_of": "average of G" if generator.name == EMA else "G",
        "crop": "none",
        "seeds": [first, first + count],
    }
    if half := {layer.compute_dtype for layer in generator.layers} - {"float32"}:
        made_by["computes_in"] = sorted(half)  # which changes the images
    return Images(f"{count:,} generated images", count, made_by, read)


def from_pack(pack: Pack, rows: np.ndarray, name: str) -> Images:
    """Take the given rows of a pack, in order."""
    rows, manifest = np.sort(np.asarray(rows, np.int64)), pack.manifest
    made_by = {
        "pack": manifest["pixels_sha256"],
        "rows": digest(rows.tolist()),
        **{key: manifest[key] for key in ("crop", "size", "channels", "filter")},
    }
    return _images(pack.pixels, rows, name, made_by)


def from_array(pixels: np.ndarray, name: str) -> Images:
    """Take an array of images, uint8 (n, height, width, channels), as it is."""
    made_by = {
        "pixels_sha256": hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
        "crop": "none",
        "size": pixels.shape[1],
        "channels": pixels.shape[3],
        "filter": "none",
    }
    return _images(pixels, np.arange(len(pixels)), name, made_by)


def _images(pixels, rows, name, made_by):
    at_once = max(1, min(BATCH, SCORED_BYTES // pixels[:1].nbytes))

    def read():
        for start in range(0, len(rows), at_once):
            yield pixels[rows[start : start + at_once]]

    return Images(f"{len(rows):,} of {name}", len(rows), made_by, read)


def hashes(images: Images) -> np.ndarray:
    """Hash each image, int64 (n,): equal images have equal hashes within this process."""
    rows = (hash(row.tobytes()) for batch in images.read() for row in batch)
    return np.fromiter(rows, np.int64)


def count_copies(images: Images, real: Images) -> int:
    """Count the images identical to a real one, in 8 bytes of memory per image."""
    return int(np.isin(hashes(images), hashes(real)).sum())


def pick(rows: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split `rows` into `count` rows chosen by `seed`, and the others."""
    order = np.random.RandomState(seed).permutation(len(rows))
    return np.sort(rows[order[:count]]), np.sort(rows[order[count:]])
