"""Which pictures are compared: real ones from packs, generated ones from a sampler.

Real pictures always come through pack.open_pack, so both sides of a comparison were decoded,
cropped and resized by the same code.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.sources import digest
from dcgan_tf.models.sampling import CHUNK, Sampler, seed_latents, weights_sha256

BATCH = 256


@dataclass(frozen=True)
class Pictures:
    """Pictures that can be read again and again, in order and in bounded memory.

    Attributes:
        name: what they are, in words.
        count: how many.
        made_by: dict of what they depend on; the key of their cached features.
        read: called without arguments, yields uint8 (n, height, width, channels).
    """

    name: str
    count: int
    made_by: dict
    read: Callable


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


def pick(rows, count, seed):
    """Split `rows` into `count` of them, chosen by `seed`, and the others."""
    order = np.random.RandomState(seed).permutation(len(rows))
    return np.sort(rows[order[:count]]), np.sort(rows[order[count:]])


class Archive:
    """The pictures of a config and those of the same source that it leaves out.

    Args:
        config: config.Config with its subset.
        source: sources.open_source(config).
        name: of the pictures, in words; rest_name: of those left out.
        say: called with one line at a time.
    """

    def __init__(self, config, source, name, rest_name, say):
        self.config, self.source, self.say = config, source, say
        self.name, self.rest_name = name, rest_name
        self.pack = open_pack(config, source, say)
        self.rows = np.arange(len(self.pack.pixels))

    @property
    def left_out(self):
        """int: how many pictures of the source are not among these (some may be unusable)."""
        if not self.config.subset:
            return 0
        known = len(self.pack.manifest["names"]) + len(self.pack.manifest["skipped"])
        return max(0, len(self.source.names) - known)

    def rest(self, count, seed):
        """(Pack, rows): `count` of the left-out pictures, or all there are if that is fewer.

        The seeded order that chose the subset is followed further, so only these are packed too.
        """
        names, wanted = self.pack.manifest["names"], len(self.rows) + count
        most = (1 - self.config.max_bad) * len(self.source.names)
        wider = replace(self.config, subset=wanted if wanted <= most else 0)
        pack = open_pack(wider, self.source, self.say)
        own = set(names)
        rows = np.array([i for i, n in enumerate(pack.manifest["names"]) if n not in own], np.int64)
        return pack, pick(rows, count, seed)[0]


@dataclass(frozen=True)
class Choice:
    """Real pictures to compare with, and others of which the floor is made.

    Attributes:
        reference: Pictures.
        held_count: how many others are wanted.
        hold_out: called without arguments for (Pictures, None), or for (None, reason) where there
            are too few; it may have to pack them first, which takes its time.
    """

    reference: Pictures
    held_count: int
    hold_out: Callable

    @functools.cached_property
    def _held(self):
        return self.hold_out()

    @property
    def held_out(self):
        """Pictures, or None where there are too few."""
        return self._held[0]

    @property
    def reason(self):
        """str: why there are none, else None."""
        return self._held[1]


def default_count(own, spare, limit=10_000):
    """int: as many pictures a side as leave others for the floor, at most `limit`."""
    return min(limit, max(own // 2, min(own, spare)))


def choose_subset(archive, count, held_count, seed):
    """Choice: `count` of the archive's own pictures; held out are others of them, or left-out ones.

    Args:
        archive: Archive.
        count: of the reference, at most as many as there are; held_count: of the floor.
    """
    rows, others = pick(archive.rows, count, seed)

    def hold_out():
        if len(others) < held_count:
            return hold_out_rest(archive, held_count, seed)
        rows = pick(others, held_count, seed)[0]
        return from_pack(archive.pack, rows, f"the others of {archive.name}"), None

    return Choice(from_pack(archive.pack, rows, archive.name), held_count, hold_out)


def hold_out_rest(archive, count, seed):
    """(Pictures, None) from the left-out pictures, or (None, reason) where they are too few."""
    found = 0
    if archive.left_out >= count:
        pack, rows = archive.rest(count, seed)
        if (found := len(rows)) == count:
            return from_pack(pack, rows, archive.rest_name), None
    else:
        found = archive.left_out
    return None, (
        f"the floor needs {count:,} further real pictures of {archive.source.where}, "
        f"there are {found:,}"
    )


def choose_rest(archive, count, held_count, seed):
    """Choice: `count` of the left-out pictures; held out are others, or the archive's own."""
    pack, rows = archive.rest(count + held_count, seed)
    rows, others = pick(rows, count, seed)

    def hold_out():
        if len(others) < held_count:
            return hold_out_own(archive, held_count, seed)
        rows = pick(others, held_count, seed)[0]
        return from_pack(pack, rows, f"the others of {archive.rest_name}"), None

    return Choice(from_pack(pack, rows, archive.rest_name), held_count, hold_out)


def hold_out_own(archive, count, seed):
    """(Pictures, None) from the archive's own pictures, or (None, reason): too few of them."""
    if len(archive.rows) >= count:
        return from_pack(archive.pack, pick(archive.rows, count, seed)[0], archive.name), None
    return None, (
        f"the floor needs {count:,} other real pictures, {archive.name} has {len(archive.rows):,}"
    )
