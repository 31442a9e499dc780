"""Pictures to be scored: generated ones, and rows of a pack."""

import hashlib

import numpy as np

from dcgan_tf.common.files import digest
from dcgan_tf.metrics.features import Pictures
from dcgan_tf.models.sampling import CHUNK, Sampler, seed_latents, weights_sha256

BATCH = 256


def generated(generator, count, seed=0):
    """Pictures of the seeds seed * count ... (seed + 1) * count - 1: 0, 1, ... by default."""
    sampler, first = Sampler(generator), seed * count

    def read():
        for start in range(first, first + count, CHUNK):
            seeds = range(start, min(start + CHUNK, first + count))
            yield sampler.array(seed_latents(seeds, sampler.latent_dim))

    made_by = {
        "generator_sha256": weights_sha256(generator),
        "weights_of": "G",
        "crop": "none",
        "seeds": [first, first + count],
    }
    return Pictures(f"{count:,} generated pictures", count, made_by, read)


def from_pack(pack, rows, name):
    """The given rows of a pack, in order."""
    rows = np.sort(np.asarray(rows, np.int64))

    def read():
        for start in range(0, len(rows), BATCH):
            yield pack.pixels[rows[start : start + BATCH]]

    manifest = pack.manifest
    made_by = {
        "pack": manifest["pixels_sha256"],
        "rows": digest(rows.tolist()),
        **{key: manifest[key] for key in ("crop", "size", "channels", "filter")},
    }
    return Pictures(f"{len(rows):,} of {name}", len(rows), made_by, read)


def from_array(pixels: np.ndarray, name: str) -> Pictures:
    """An array of pictures, uint8 (n, height, width, channels), as it is."""
    made_by = {
        "pixels_sha256": hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest(),
        "crop": "none",
        "size": pixels.shape[1],
        "channels": pixels.shape[3],
        "filter": "none",
    }

    def read():
        for start in range(0, len(pixels), BATCH):
            yield pixels[start : start + BATCH]

    return Pictures(f"{len(pixels):,} of {name}", len(pixels), made_by, read)


def pick(rows, count, seed):
    """Split `rows` into `count` of them, chosen by `seed`, and the others."""
    order = np.random.RandomState(seed).permutation(len(rows))
    return np.sort(rows[order[:count]]), np.sort(rows[order[count:]])
