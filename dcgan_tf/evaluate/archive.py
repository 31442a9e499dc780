"""Real images: their archive, the reference set chosen from it, and those of the baseline.

Real images always come through pack.open_pack, so both sides of a comparison were decoded,
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
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data.pack import Pack, narrow, open_images, open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate.command import EvaluationRequest
from dcgan_tf.evaluate.image_sets import from_pack, pick
from dcgan_tf.metrics.features import Images

log = logging.getLogger(__name__)

MOST = 10_000  # images a side, where no number is asked for
FEWEST = 10  # images a side: the Inception Score has ten splits


class Archive:
    """The images of a config and those of the same source that it leaves out.

    Args:
        config: with its subset.
        source: sources.open_source(config).
        name: of the images, in words; rest_name: of those left out.
        pack: pack.open_pack(config, source), where it is open already.
    """

    def __init__(self, config: Config, source, name: str, rest_name: str, pack: Pack | None = None):
        self.config, self.source = config, source
        self.name, self.rest_name = name, rest_name
        self.pack = pack or open_pack(config, source)
        self.rows = np.arange(len(self.pack.pixels))

    @property
    def left_out(self) -> int:
        """Number of images of the source that are not among these (some may be unusable)."""
        if not self.config.subset:
            return 0
        known = len(self.pack.manifest["names"]) + len(self.pack.manifest["skipped"])
        return max(0, len(self.source.names) - known)

    def rest(self, count: int, seed: int) -> tuple[Pack, np.ndarray]:
        """(Pack, rows): `count` of the left-out images, or all there are if that is fewer.

        The seeded order that chose the subset is followed further, so only these are packed too.
        """
        wanted = len(self.rows) + count
        pack = open_pack(narrow(self.config, self.source, wanted), self.source)
        own = set(self.pack.manifest["names"])
        rows = np.array([i for i, n in enumerate(pack.manifest["names"]) if n not in own], np.int64)
        return pack, pick(rows, count, seed)[0]


def training_archive(config: Config, source, pack: Pack | None = None) -> Archive:
    """Open the images that a config trains on; `pack` where it is open already."""
    rest_name = f"the rest of {source.where}, not trained on"
    return Archive(config, source, f"the training images, {source.where}", rest_name, pack)


def open_archive(run: Run, request: EvaluationRequest) -> tuple[Archive, str]:
    """Open the real images of a run, or the other ones that --data names.

    Returns:
        Archive and "subset", "rest" or "data": what to compare with.
    """
    config = find_again(run, read_config(run.config))
    if request.packs:
        config = replace(config, packs=request.packs)
    if request.against == "data":
        return _other_archive(request, config), "data"
    if request.data:
        config = replace(config, data=request.data)
    trained_on = read_journal(run).get("pixels_sha256")
    whole = bool(request.data) or request.against == "rest"  # the pack alone would not do
    source = open_images(replace(config, subset=0), None if whole else trained_on)
    if len(source.names) >= config.subset:
        archive = training_archive(config, source)
        if request.data and trained_on is None:
            archive.name = f"{source.where}, taken for the training images"
            log.warning(
                f"{run.root}: no checkpoint says which images it was trained on; --data "
                f"{request.data} is taken for them; if it has others, add --against data"
            )
        if trained_on in (None, archive.pack.manifest["pixels_sha256"]):
            return archive, request.against or "subset"
    if request.data and not request.against:
        return _other_archive(request, config), "data"
    raise UserError(
        f"not the images that {run.root} was trained on; "
        "name those, or compare with these by --against data",
        flag=f"--data {source.where}",
    )


def _other_archive(request, config):
    """Open another archive; if it is large, only a seeded choice of it."""
    config = replace(config, data=request.data, subset=0, subset_seed=request.seed)
    source = open_source(config)
    config = narrow(config, source, 2 * (request.samples or MOST))
    name = f"the images of {source.where}"
    return Archive(config, source, name, name)


def cache_of(config: Config, cache: str | None = None) -> Path:
    """Folder for features: `cache`, or features/ next to the packs."""
    return Path(cache) if cache else Path(config.packs).parent / "features"


@dataclass(frozen=True)
class Choice:
    """A reference set, and other real images for the baseline.

    Attributes:
        reference: real images to compare with.
        held_out: those of the baseline, None if there are too few; reason: why, else None.
    """

    reference: Images
    held_out: Images | None
    reason: str | None = None


def choose(archive: Archive, against: str, request: EvaluationRequest) -> tuple[int, Choice]:
    """Choose how many images a side, and which real ones; UserError if there are too few."""
    own, spare, where = len(archive.rows), archive.left_out, archive.source.where
    if against == "rest":
        if spare < 2:
            raise UserError(
                f"--against rest: all {own:,} images of {where} were trained on; "
                "use --against subset, or --against data --data PATH"
            )
        own, spare = spare, own
    count = request.samples or default_count(own, spare)
    few = check_count(min(count, own), where)
    choice = choose_reference(archive, few, count, request.seed, rest=against == "rest")
    check_count(choice.reference.count, where)  # some may have been unusable
    return count, choice


def choose_reference(
    archive: Archive, count: int, held_count: int, seed: int, rest: bool = False
) -> Choice:
    """Choose `count` of an archive's images, and `held_count` others for the baseline.

    The others come from the same images if enough are left, else from the archive's other side.

    Args:
        archive: has `count` images or more.
        seed: of both choices.
        rest: choose from the images that the archive leaves out, not from its own.
    """
    pack, rows, name = _side(archive, rest, count + held_count, seed)
    rows, others = pick(rows, count, seed)
    reference, name = from_pack(pack, rows, name), f"{name}, none of them in the reference set"
    if (available := len(others)) < held_count:
        available = len(archive.rows) if rest else archive.left_out
        if available >= held_count:
            pack, others, name = _side(archive, not rest, held_count, seed)
            available = len(others)  # some may have been unusable
    if available >= held_count:
        return Choice(reference, from_pack(pack, pick(others, held_count, seed)[0], name))
    return Choice(
        reference,
        None,
        f"the baseline needs {held_count:,} further real images of {archive.source.where}, "
        f"there are {available:,}",
    )


def _side(archive, rest, count, seed):
    """(Pack, rows, name) of the archive's own images, or of at most `count` that it leaves out."""
    if rest:
        return *archive.rest(count, seed), archive.rest_name
    return archive.pack, archive.rows, archive.name


def default_count(own: int, spare: int) -> int:
    """Choose the number of images a side: MOST, or fewer so that others make a baseline."""
    return min(MOST, max(own // 2, min(own, spare)))


def check_count(count: int, where: object) -> int:
    """Return `count`; raise UserError if it is too small for a score."""
    if count < FEWEST:
        raise UserError(f"{where}: {count} usable images; a score needs {FEWEST} or more a side")
    return count
