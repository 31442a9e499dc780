"""Which pictures are compared: real ones from packs, generated ones from a sampler.

Real pictures always come through pack.open_pack, so both sides of a comparison were decoded,
cropped and resized by the same code.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate.pictures import from_pack, pick
from dcgan_tf.metrics.features import Pictures


class Archive:
    """The pictures of a config and those of the same source that it leaves out.

    Args:
        config: config.Config with its subset.
        source: sources.open_source(config).
        name: of the pictures, in words; rest_name: of those left out.
        pack: of the pictures, where it is open already.
    """

    def __init__(self, config, source, name, rest_name, pack=None):
        self.config, self.source = config, source
        self.name, self.rest_name = name, rest_name
        self.pack = pack or open_pack(config, source)
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
        pack = open_pack(wider, self.source)
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


def open_archive(args):
    """The real pictures of a run, or the other ones that --data names.

    Returns:
        Archive and "subset", "rest" or "data": what to compare with.

    Raises:
        UserError: --against subset or rest with pictures that the run was not trained on.
    """
    config = read_config(args.run.config)
    if args.packs:
        config = replace(config, packs=args.packs)
    if args.against == "data":
        return _other_archive(args, config), "data"
    if args.data:
        config = replace(config, data=args.data)
    source = open_source(replace(config, subset=0))
    if len(source.names) >= config.subset:
        archive = Archive(
            config,
            source,
            f"the training pictures, {source.where}",
            f"the rest of {source.where}, not trained on",
        )
        trained_on = read_journal(args.run).get("pixels_sha256")
        if trained_on in (None, archive.pack.manifest["pixels_sha256"]):
            return archive, args.against or "subset"
    if args.data and not args.against:
        return _other_archive(args, config), "data"
    raise UserError(
        f"--data {source.where}: not the pictures that {args.run.root} was trained on; "
        "name those, or compare with these by --against data"
    )


def _other_archive(args, config):
    """Another archive whole; of a large one, the seeded choice that is needed."""
    config = replace(config, data=args.data, subset=0, subset_seed=args.seed)
    source = open_source(config)
    wanted = 2 * (args.samples or 10_000)
    if wanted < (1 - config.max_bad) * len(source.names):
        config = replace(config, subset=wanted)
    name = f"the pictures of {source.where}"
    return Archive(config, source, name, name)


def choose(archive, against, args):
    """How many pictures a side, and which real ones.

    Returns:
        int, reals.Choice.
    """
    own, spare = len(archive.rows), archive.left_out
    if against == "rest":
        if spare < 2:
            raise UserError(
                f"--against rest: {args.run.root} was trained on all {own:,} pictures of "
                f"{archive.source.where}; use --against subset, or --against data --data PATH"
            )
        own, spare = spare, own
    count = args.samples or default_count(own, spare)
    take = choose_rest if against == "rest" else choose_subset
    return count, take(archive, min(count, own), count, args.seed)


def cache_of(args, config):
    """Path: where features are kept."""
    return Path(args.cache) if args.cache else Path(config.packs).parent / "features"
