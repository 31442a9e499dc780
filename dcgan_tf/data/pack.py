"""The pack: images prepared once, in one uint8 array on disk; open or make it.

A pack is a folder with `pixels.npy` (uint8, pictures x height x width x channels) and
`manifest.json`. It is named by a key of everything that its pixels depend on, so every later run
with the same settings takes it as it is.
"""

import contextlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import whole_folder
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest, make_directory, mark_used
from dcgan_tf.data.forms import HIDDEN, count_hidden, other_names
from dcgan_tf.data.pack_files import is_whole, map_pixels, read_manifest, write_manifest
from dcgan_tf.data.pack_making import check_skipped, make_pack, some_of
from dcgan_tf.data.places import find
from dcgan_tf.data.sources import open_source

log = logging.getLogger(__name__)

FILTER = "bicubic, antialiased"
# Part of the key: a change in how pixels are made must not reuse old packs. 2 reads values of more
# than 8 bits and color profiles as eight_bit.py says; the known data sets have neither.
FORMAT, FORMAT_OF_FOLDERS = 1, 2


@dataclass(frozen=True)
class Pack:
    """Prepared pictures.

    Attributes:
        pixels: uint8 (count, height, width, channels), mapped from disk, never loaded whole.
        manifest: dict: source, crop, size, filter, count, names, skipped, pixels_sha256, ...
        path: the folder that holds both.
    """

    pixels: np.ndarray
    manifest: dict
    path: Path

    @property
    def where(self):
        """str: where its pictures came from, as sources have it."""
        return self.manifest["where"]

    @property
    def names(self):
        """list[str]: of its pictures, row by row."""
        return self.manifest["names"]

    @property
    def left_out(self):
        """dict: {name: reason} of what lay beside the pictures."""
        return self.manifest.get("left_out", {})


def open_pictures(config, pixels_sha256=None, named=False):
    """What `open_pack` takes: the pictures of a config, or the pack that has them already.

    Args:
        config: config.Config, resolved.
        pixels_sha256: of the pack that a run was trained on. Where the packs have it whole, the
            archive need not be there any more.
        named: whether the command line names `data`: another place than the pack's is opened.

    Raises:
        UserError: as sources.open_source.
    """
    pack = find_pack(config.packs, pixels_sha256) if pixels_sha256 else None
    return pack if pack and (not named or _is_of(pack, config)) else open_source(config)


def _is_of(pack, config):
    """bool: whether `data` names what the pack was made of, which may be gone."""
    if config.data in FETCHED:
        return str(find(config)) == pack.where
    return str(Path(config.data)) == pack.where and not Path(config.data).exists()


def archive_or_pack(config, pixels_sha256):
    """The source of a config; where that is gone, the pack with these pixels.

    Unlike `open_pictures` it needs the pack last: an archive has pictures beyond a run's subset.

    Raises:
        UserError: as sources.open_source, and there is no such pack either.
    """
    try:
        return open_source(config)
    except UserError:
        pack = find_pack(config.packs, pixels_sha256) if pixels_sha256 else None
        if not pack:
            raise
        return pack


def narrow(config, source, count):
    """The config with `count` of a source's pictures, chosen by its subset_seed, or with all.

    All where there are hardly more: of those, `count` may not be usable, and nobody asked for a
    subset who could be told so.
    """
    enough = count < (1 - config.max_bad) * len(source.names)
    return replace(config, subset=count if enough else 0)


def find_pack(packs, pixels_sha256):
    """Pack | None: the whole one with these pixels in a folder of packs."""
    for path in sorted(Path(packs).glob("[!.]*/manifest.json")):  # a dot: still being made
        with contextlib.suppress(PermissionError):  # another user's
            manifest = read_manifest(path.parent)
            if manifest and manifest["pixels_sha256"] == pixels_sha256 and is_whole(path.parent):
                return _open(path.parent)
    return None


def open_pack(config, source):
    """The pack for a config, made now if it is not there yet.

    Args:
        config: config.Config, resolved.
        source: sources.open_source(config), or what `open_pictures` gives.

    Returns:
        Pack.

    Raises:
        UserError: too many bad pictures, none left, or no room on the disk.
    """
    if isinstance(source, Pack):
        return _tell(source, source.left_out, source.where)
    recipe = _recipe(config, source)
    folder = Path(config.packs) / f"{config.dataset}-{config.image_size}-{digest(recipe)[:16]}"
    if not is_whole(folder):
        if folder.exists():
            log.warning(f"{folder}: damaged on the disk, so it is made again")
        make_directory(folder.parent, "--packs")
        # Two runs that need the same pack: the second waits and finds it made.
        with whole_folder(folder, is_whole) as making:
            if making:
                make_pack(making, config, source, recipe)
    pack = _open(folder)
    check_skipped(config, source, len(pack.pixels), pack.manifest["skipped"])
    if pack.manifest.get("left_out") != source.left_out:
        pack.manifest["left_out"] = source.left_out
        with contextlib.suppress(OSError):  # on a read-only disk
            write_manifest(folder, pack.manifest)
    return _tell(pack, source.left_out, source.where)


def _open(folder):
    mark_used(folder / "manifest.json")
    manifest = read_manifest(folder)
    return Pack(map_pixels(folder, manifest), manifest, folder)


def _recipe(config, source):
    recipe = {
        "format": FORMAT_OF_FOLDERS if config.dataset == "folder" else FORMAT,
        "source": source.fingerprint,
        "crop": config.crop,
        "size": config.image_size,
        "channels": config.channels,
        "filter": FILTER,
        "subset": config.subset,
        "subset_seed": config.subset_seed if config.subset else 0,
    }
    if config.max_pixels != limits.MEGAPIXELS:  # as it was before there was this setting
        recipe["max_pixels"] = config.max_pixels
    return recipe


def _tell(pack, left_out, where):
    """The pack, after saying what is in it and what is not."""
    good, skipped = len(pack.pixels), pack.manifest["skipped"]
    manifest = pack.path / "manifest.json"
    if skipped:
        log.warning(
            f"skipped {len(skipped)} of {len(skipped) + good} pictures: {some_of(skipped, 5)} "
            f"(all in {manifest})"
        )
    others = set(other_names(left_out))
    named = {n: w for n, w in left_out.items() if n not in others and not w.startswith(HIDDEN)}
    if named:
        log.warning(f"left out {len(named)}: {some_of(named, 5)} (all in {manifest})")
    if hidden := count_hidden(left_out):
        log.info(hidden)
    if others:
        log.debug(f"{len(others)} other files there, no images by their names: {[*others][:5]}")
    if pack.manifest.get("warning"):  # not in packs of earlier versions
        log.warning(pack.manifest["warning"])
    log.info(f"pictures: {good:,}, {where}, prepared in {pack.path}")
    return pack
