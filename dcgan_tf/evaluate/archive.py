"""Open the archive that real images come from: a run's own one, or another.

Real images always come through pack.open_pack, so both sides of a comparison were decoded,
cropped and resized by the same code.
"""

import logging
from dataclasses import replace
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
from dcgan_tf.evaluate.image_sets import pick

log = logging.getLogger(__name__)


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
        names, wanted = self.pack.manifest["names"], len(self.rows) + count
        pack = open_pack(narrow(self.config, self.source, wanted), self.source)
        own = set(names)
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

    Raises:
        UserError: --against subset or rest with images that the run was not trained on.
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
                f"{run.root}: no checkpoint says which images it was trained on, so "
                f"those of --data {request.data} are taken for them; of others that is untrue, "
                "then add --against data"
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
    """Open another archive whole; of a large one, the seeded choice that is needed."""
    config = replace(config, data=request.data, subset=0, subset_seed=request.seed)
    source = open_source(config)
    config = narrow(config, source, 2 * (request.samples or 10_000))
    name = f"the images of {source.where}"
    return Archive(config, source, name, name)


def cache_of(config: Config, cache: str | None = None) -> Path:
    """Folder for features: `cache`, or features/ next to the packs."""
    return Path(cache) if cache else Path(config.packs).parent / "features"
