"""Real images for scores: their archive, the reference set and the baseline images.

Real images always come from pack.open_pack, so both sides of a comparison are decoded, cropped and
resized by the same code.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data.pack import Pack, find_pack, narrow, open_images, open_pack
from dcgan_tf.data.sources import Folder, HubImages, Zip, is_celeba, open_source
from dcgan_tf.evaluate.command import EvaluationRequest, refuse_all_seen
from dcgan_tf.evaluate.image_sets import from_pack, pick
from dcgan_tf.metrics.features import Images

log = logging.getLogger(__name__)

MOST = 10_000  # images per side, by default
FEWEST = 10  # images per side: the Inception Score has ten splits


class Archive:
    """The images of a config, and the images of the same source outside its subset.

    Args:
        source: sources.open_source(config).
        name, rest_name: names in messages, for the images in and outside the subset.
        pack: pack.open_pack(config, source), if it is already open.
    """

    def __init__(self, config: Config, source, name: str, rest_name: str, pack: Pack | None = None):
        self.config, self.source = config, source
        self.name, self.rest_name = name, rest_name
        self.pack = pack or open_pack(config, source)
        self.rows = np.arange(len(self.pack.pixels))

    @property
    def left_out(self) -> int:
        """Number of images of the source outside the subset (some may be unusable)."""
        if not self.config.subset:
            return 0
        known = len(self.pack.names) + len(self.pack.manifest["skipped"])
        return max(0, len(self.source.names) - known)

    def side(self, rest: bool, count: int, seed: int) -> tuple[Pack, np.ndarray, str]:
        """Return (Pack, rows, name) of the subset, or of at most `count` images outside it."""
        if not rest:
            return self.pack, self.rows, self.name
        # This continues the seeded order that chose the subset, so only these images are packed.
        config = narrow(self.config, self.source, len(self.rows) + count)
        pack, own = open_pack(config, self.source), set(self.pack.names)
        rows = np.array([i for i, name in enumerate(pack.names) if name not in own], np.int64)
        return pack, pick(rows, count, seed)[0], self.rest_name


def training_archive(config: Config, source, pack: Pack | None = None) -> Archive:
    """Open the training images of a config; `pack` is their pack, if it is already open."""
    rest_name = f"the rest of {source.where}, not trained on"
    return Archive(config, source, f"the training images, {source.where}", rest_name, pack)


def open_archive(run: Run, request: EvaluationRequest) -> tuple[Archive, str]:
    """Open the real images of a run or of --data; return the archive and one of AGAINST."""
    config = find_again(run, read_config(run.config))
    config = replace(config, packs=request.packs or config.packs)
    if request.against == "data":
        return _other_archive(request, config), "data"
    if request.data:
        config = replace(config, data=request.data)
    trained_on = read_journal(run).get("pixels_sha256")
    rest = request.against == "rest" or (request.memorization and not request.against)
    whole = bool(request.data) or rest  # needs more than the pack
    source = open_images(replace(config, subset=0), None if whole else trained_on)
    pack = None if request.data else find_pack(config.packs, trained_on)
    if len(source.names) >= config.subset:
        # The key of a pack with labels is not that of its images alone.
        archive = training_archive(config, source, pack if is_of(pack, source, config) else None)
        if request.data and trained_on is None:
            archive.name = f"{source.where}, assumed to be the training images"
            log.warning(
                f"{run.root}: no checkpoint records its training images; assuming that --data "
                f"{request.data} has them; if not, add --against data"
            )
        if trained_on in (None, archive.pack.manifest["pixels_sha256"]):
            return archive, request.against or "subset"
    if request.data and not request.against:
        return _other_archive(request, config), "data"
    if pack and not rest:  # the images have changed since, so their rest is unknown
        return training_archive(config, pack, pack), "subset"
    advice = "name those, or add --against data to compare with these"
    if not request.data:
        advice = "name those with --data PATH, or others with --against data --data PATH"
    words = f"not the images that {run.root} was trained on; {advice}"
    raise UserError(words, flag=f"--data {source.where}")


def is_of(pack: Pack | None, source, config: Config) -> bool:
    """Whether a pack with labels was made from a source as it is now."""
    if not (pack and config.labels):
        return False
    return isinstance(source, Pack) or pack.manifest.get("source") == source.fingerprint


def _other_archive(request, config):
    """Open another archive, or a seeded sample of it if it is large."""
    config = replace(config, data=request.data, subset=0, subset_seed=request.seed)
    source = open_source(config)
    files = isinstance(source, Folder | Zip | HubImages)
    if config.dataset == "celeba" and files and not is_celeba(source, by_name=False):
        log.info(f"{source.where}: not of CelebA's size, so the centered squares are compared")
        config = replace(config, dataset="folder", crop="center")
        source = open_source(config)
    config = narrow(config, source, 2 * (request.samples or MOST))
    name = f"the images of {source.where}"
    return Archive(config, source, name, name)


def cache_of(config: Config, cache: str | None = None) -> Path:
    """The folder for features: `cache`, or features/ next to the packs."""
    return Path(cache) if cache else Path(config.packs).parent / "features"


@dataclass(frozen=True)
class Choice:
    """A reference set, and other real images for the baseline."""

    reference: Images
    held_out: Images | None  # for the baseline; None if there are too few
    reason: str | None = None  # why there are too few


def choose(archive: Archive, against: str, request: EvaluationRequest) -> tuple[int, Choice]:
    """Choose the real images and their number per side; UserError if there are too few."""
    own, spare, where = len(archive.rows), archive.left_out, archive.source.where
    if rest := against == "rest":
        if spare < 2:
            refuse_all_seen(where, memorization=False)
        own, spare = spare, own
    count = request.samples or default_count(own, spare)
    few = check_count(min(count, own), where)
    choice = choose_reference(archive, few, count, request.seed, rest)
    check_count(choice.reference.count, where)  # some may be unusable
    return count, choice


def choose_reference(
    archive: Archive, count: int, held_count: int, seed: int, rest: bool = False
) -> Choice:
    """Choose `count` images of an archive, and `held_count` others for the baseline.

    The others come from the same side of the archive if enough are left, else from the other one.

    Args:
        archive: archive with at least `count` images.
        rest: take the reference set from the images outside the subset, not from the subset.
    """
    pack, rows, name = archive.side(rest, count + held_count, seed)
    rows, others = pick(rows, count, seed)
    reference, name = from_pack(pack, rows, name), f"{name}, none of them in the reference set"
    if (available := len(others)) < held_count:
        available = len(archive.rows) if rest else archive.left_out
        if available >= held_count:
            pack, others, name = archive.side(not rest, held_count, seed)
            available = len(others)  # some may be unusable
    if available >= held_count:
        return Choice(reference, from_pack(pack, pick(others, held_count, seed)[0], name))
    where = archive.source.where
    why = f"the baseline needs {held_count:,} other real images in {where}, there are {available:,}"
    return Choice(reference, None, why)


def default_count(own: int, spare: int) -> int:
    """Choose the number of images per side: MOST, or fewer to leave some for the baseline."""
    return min(MOST, max(own // 2, min(own, spare)))


def check_count(count: int, where: object) -> int:
    """Return `count`; raise UserError if it is too small for a score."""
    if count < FEWEST:
        raise UserError(f"{where}: {count} usable images; a score needs {FEWEST} or more per side")
    return count
