"""The reference set: the real images that `--against` selects, and the baseline's.

Real pictures always come through pack.open_pack, so both sides of a comparison were decoded,
cropped and resized by the same code.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import find_again
from dcgan_tf.data.pack import Pack, archive_or_pack, narrow, open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate.command import EvaluationRequest
from dcgan_tf.evaluate.image_sets import from_pack, pick
from dcgan_tf.metrics.features import Pictures

log = logging.getLogger(__name__)


class Archive:
    """The pictures of a config and those of the same source that it leaves out.

    Args:
        config: config.Config with its subset.
        source: sources.open_source(config).
        name: of the pictures, in words; rest_name: of those left out.
        pack: pack.open_pack(config, source), where it is open already.
    """

    def __init__(self, config: Config, source, name: str, rest_name: str, pack: Pack | None = None):
        self.config, self.source = config, source
        self.name, self.rest_name = name, rest_name
        self.pack = pack or open_pack(config, source)
        self.rows = np.arange(len(self.pack.pixels))

    @property
    def left_out(self) -> int:
        """How many pictures of the source are not among these (some may be unusable)."""
        if not self.config.subset:
            return 0
        known = len(self.pack.manifest["names"]) + len(self.pack.manifest["skipped"])
        return max(0, len(self.source.names) - known)

    def rest(self, count: int, seed: int) -> tuple[Pack, np.ndarray]:
        """(Pack, rows): `count` of the left-out pictures, or all there are if that is fewer.

        The seeded order that chose the subset is followed further, so only these are packed too.
        """
        names, wanted = self.pack.manifest["names"], len(self.rows) + count
        pack = open_pack(narrow(self.config, self.source, wanted), self.source)
        own = set(names)
        rows = np.array([i for i, n in enumerate(pack.manifest["names"]) if n not in own], np.int64)
        return pack, pick(rows, count, seed)[0]


def training_archive(config: Config, source, pack: Pack | None = None) -> Archive:
    """Archive of the pictures that a config trains on; `pack` where it is open already."""
    rest_name = f"the rest of {source.where}, not trained on"
    return Archive(config, source, f"the training pictures, {source.where}", rest_name, pack)


@dataclass(frozen=True)
class Choice:
    """Real pictures to compare with, and others of which the floor is made.

    Attributes:
        reference: Pictures; held_out: Pictures, or None where there are too few.
        reason: why there are none, else None.
    """

    reference: Pictures
    held_out: Pictures | None
    reason: str | None = None


def default_count(own: int, spare: int, limit: int = 10_000) -> int:
    """As many pictures a side as leave others for the floor, at most `limit`."""
    return min(limit, max(own // 2, min(own, spare)))


def choose_subset(archive: Archive, count: int, held_count: int, seed: int) -> Choice:
    """`count` of the archive's own pictures; held out are others of them, or left-out ones.

    Args:
        archive: where they are taken from.
        count: of the reference, at most as many as there are; held_count: of the floor.
        seed: of both choices.
    """
    rows, others = pick(archive.rows, count, seed)
    reference = from_pack(archive.pack, rows, archive.name)
    if len(others) >= held_count:
        rows = pick(others, held_count, seed)[0]
        return Choice(reference, from_pack(archive.pack, rows, f"the others of {archive.name}"))
    found = archive.left_out
    if found >= held_count:
        pack, rows = archive.rest(held_count, seed)
        if (found := len(rows)) == held_count:  # some may have been unusable
            return Choice(reference, from_pack(pack, rows, archive.rest_name))
    return Choice(
        reference,
        None,
        f"the floor needs {held_count:,} further real pictures of {archive.source.where}, "
        f"there are {found:,}",
    )


def choose_rest(archive: Archive, count: int, held_count: int, seed: int) -> Choice:
    """`count` of the left-out pictures; held out are others of these, or the archive's own."""
    pack, rows = archive.rest(count + held_count, seed)
    rows, others = pick(rows, count, seed)
    reference = from_pack(pack, rows, archive.rest_name)
    if len(others) >= held_count:
        rows = pick(others, held_count, seed)[0]
        return Choice(reference, from_pack(pack, rows, f"the others of {archive.rest_name}"))
    if len(archive.rows) >= held_count:
        rows = pick(archive.rows, held_count, seed)[0]
        return Choice(reference, from_pack(archive.pack, rows, archive.name))
    return Choice(
        reference,
        None,
        f"the floor needs {held_count:,} other real pictures, {archive.name} has "
        f"{len(archive.rows):,}",
    )


def open_archive(request: EvaluationRequest) -> tuple[Archive, str]:
    """The real pictures of a run, or the other ones that --data names.

    Returns:
        Archive and "subset", "rest" or "data": what to compare with.

    Raises:
        UserError: --against subset or rest with pictures that the run was not trained on.
    """
    config = find_again(request.run, read_config(request.run.config))
    if request.packs:
        config = replace(config, packs=request.packs)
    if request.against == "data":
        return _other_archive(request, config), "data"
    if request.data:
        config = replace(config, data=request.data)
    trained_on = read_journal(request.run).get("pixels_sha256")
    whole = bool(request.data) or request.against == "rest"  # the pack alone would not do
    source = archive_or_pack(replace(config, subset=0), None if whole else trained_on)
    if len(source.names) >= config.subset:
        archive = training_archive(config, source)
        if request.data and trained_on is None:
            archive.name = f"{source.where}, taken for the training pictures"
            log.warning(
                f"{request.run.root}: no checkpoint says which pictures it was trained on, so "
                f"those of --data {request.data} are taken for them; of others that is untrue, "
                "then add --against data"
            )
        if trained_on in (None, archive.pack.manifest["pixels_sha256"]):
            return archive, request.against or "subset"
    if request.data and not request.against:
        return _other_archive(request, config), "data"
    raise UserError(
        f"not the pictures that {request.run.root} was trained on; "
        "name those, or compare with these by --against data",
        flag=f"--data {source.where}",
    )


def _other_archive(request, config):
    """Another archive whole; of a large one, the seeded choice that is needed."""
    config = replace(config, data=request.data, subset=0, subset_seed=request.seed)
    source = open_source(config)
    config = narrow(config, source, 2 * (request.samples or 10_000))
    name = f"the pictures of {source.where}"
    return Archive(config, source, name, name)


def choose(archive: Archive, against: str, request: EvaluationRequest) -> tuple[int, Choice]:
    """How many pictures a side, and which real ones.

    Raises:
        UserError: there are fewer than two of them.
    """
    own, spare = len(archive.rows), archive.left_out
    if against == "rest":
        if spare < 2:
            raise UserError(
                f"--against rest: {request.run.root} was trained on all {own:,} pictures of "
                f"{archive.source.where}; use --against subset, or --against data --data PATH"
            )
        own, spare = spare, own
    count = request.samples or default_count(own, spare)
    take = choose_rest if against == "rest" else choose_subset
    choice = take(archive, check_count(min(count, own), archive.source.where), count, request.seed)
    check_count(choice.reference.count, archive.source.where)  # some may have been unusable
    return count, choice


def check_count(count: int, where) -> int:
    """`count`; UserError where it is too small for any score."""
    if count < 2:
        raise UserError(f"{where}: too few pictures; a score needs 2 or more a side, here {count}")
    return count


def at_epoch(record: dict) -> str:
    """The epoch that checkpoints.identify tells, as the end of a phrase; "" where it knows none."""
    return "" if record["epoch"] is None else f", epoch {record['epoch']}"


def cache_of(config: Config, cache: str | None = None) -> Path:
    """Where features are kept: `cache`, or features/ beside the packs."""
    return Path(cache) if cache else Path(config.packs).parent / "features"
