"""Open or make a pack: images prepared once, in one uint8 array on disk.

A pack is a folder with `pixels.npy` (uint8, images x height x width x channels) and
`manifest.json`. Its name is a hash of everything that its pixels depend on, so every later run with
the same settings reuses it. Packs of earlier versions have `pixels.u8`, without a header.
"""

import contextlib
import hashlib
import logging
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import whole_folder
from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest, make_directory, mark_used
from dcgan_tf.common.foreign import open_regular, read_json
from dcgan_tf.common.progress import progress
from dcgan_tf.data.forms import HIDDEN, count_archives, count_hidden, other_names
from dcgan_tf.data.pack_making import check_skipped, make_pack, npy_header, some_of, write_manifest
from dcgan_tf.data.places import find
from dcgan_tf.data.sources import open_source

log = logging.getLogger(__name__)

FILTER = "bicubic, antialiased"
# Part of the key, so that old packs are not reused when the preparation of pixels changes. Format 2
# added values of more than 8 bits and color profiles (eight_bit.py), which only folders may have.
FORMAT, FORMAT_OF_FOLDERS = 1, 2
_CHECK_AT_ONCE = 8 * 2**20  # bytes
_NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_checked = set()  # files whose digest this process has verified


@dataclass(frozen=True)
class Pack:
    """Prepared images.

    Attributes:
        pixels: uint8 (count, height, width, channels), memory-mapped.
        manifest: source, crop, size, filter, count, names, skipped, pixels_sha256, ...
        path: the folder with both.
    """

    pixels: np.ndarray
    manifest: dict
    path: Path

    @property
    def where(self) -> str:
        return self.manifest["where"]

    @property
    def names(self) -> list[str]:
        return self.manifest["names"]

    @property
    def left_out(self) -> dict[str, str]:
        return self.manifest.get("left_out", {})


def open_images(
    config: Config, pixels_sha256: str | None, pack_first: bool = False, named: bool = False
):
    """Open the source of a config or, if it is missing, the pack that a run was trained on.

    Args:
        pixels_sha256: hash of the pack's pixels; None without a pack.
        pack_first: use the pack, if it is intact, without opening the source. The source has all
            images, the pack only the run's subset.
        named: whether the command line names `data`: then only a pack made from it replaces it.

    Raises:
        UserError: as in sources.open_source, if there is no such pack either.
    """
    if pack_first and (pack := find_pack(config.packs, pixels_sha256)):
        return pack
    try:
        return open_source(config)
    except UserError:
        pack = find_pack(config.packs, pixels_sha256)
        place = find(config) if config.data in FETCHED else Path(config.data)
        if pack and (not named or pack.where == str(place)):
            return pack
        raise


def narrow(config: Config, source, count: int) -> Config:
    """Choose `count` of a source's images by subset_seed, or all if there are few more.

    With few more, unusable images could leave fewer than `count`, with a warning about a subset
    that the user did not ask for.
    """
    enough = count < (1 - config.max_bad) * len(source.names)
    return replace(config, subset=count if enough else 0)


def find_pack(packs: str | Path, pixels_sha256: str | None) -> Pack | None:
    """Find the intact pack with these pixels in a folder of packs."""
    paths = Path(packs).glob("[!.]*/manifest.json") if pixels_sha256 else ()
    for path in sorted(paths):  # names with a dot are packs in the making
        with contextlib.suppress(PermissionError):  # a pack of another user
            manifest = read_manifest(path.parent)
            if manifest and manifest["pixels_sha256"] == pixels_sha256 and is_whole(path.parent):
                mark_used(path)
                return _read(path.parent)
    return None


def open_pack(config: Config, source) -> Pack:
    """Open the pack for a config; make it if it does not exist yet.

    Args:
        source: from sources.open_source(config) or `open_images`.

    Raises:
        UserError: too many unusable images, none left, or a full disk.
    """
    if isinstance(source, Pack):
        return _tell(source, source)
    key = pack_key(config, source)
    folder = Path(config.packs) / f"{config.dataset}-{config.image_size}-{digest(key)[:16]}"
    if not is_whole(folder):
        if folder.exists():
            log.warning(f"{folder}: this pack is damaged and is made again")
        make_directory(folder.parent, "--packs")
        # If two runs need the same pack, the second one waits for the first.
        with whole_folder(folder, is_whole) as making:
            if making:
                make_pack(making, config, source, key)
    mark_used(folder / "manifest.json")
    pack = _read(folder)
    check_skipped(config, source, len(pack.pixels), pack.manifest["skipped"])
    if len(pack.pixels) < config.subset:
        log.warning(f"only {len(pack.pixels):,} images of a subset of {config.subset:,} are usable")
    if pack.manifest.get("left_out") != source.left_out:
        pack.manifest["left_out"] = source.left_out
        with contextlib.suppress(OSError):  # on a read-only disk
            write_manifest(folder, pack.manifest)
    return _tell(pack, source)


def pack_key(config: Config, source) -> dict:
    """Collect everything that the pixels of a pack depend on."""
    # Newer settings are in the key only if they differ from the default, so that older packs are
    # still found. Scores have "crop" in their protocol.
    fit = {"crop": "", "pad": f", pad on {config.background}", "stretch": ", stretch"}[config.fit]
    key = {
        "format": FORMAT_OF_FOLDERS if config.dataset == "folder" else FORMAT,
        "source": source.fingerprint,
        "crop": config.crop + fit,
        "size": config.image_size,
        "channels": config.channels,
        "filter": FILTER,
        "subset": config.subset,
        "subset_seed": config.subset_seed if config.subset else 0,
    }
    if config.max_pixels != limits.MEGAPIXELS:
        key["max_pixels"] = config.max_pixels
    return key


def _tell(pack, source):
    """Log what is in a pack and what was left out, and return the pack."""
    manifest = pack.manifest
    cut, where = manifest.get("cut", (0, 0)), f" (all in {pack.path / 'manifest.json'})"
    told = describe(len(pack.pixels), manifest["skipped"], source.left_out, cut, where)
    told.append((logging.WARNING, manifest.get("warning")))  # older packs have none
    for level, line in told:
        if line:
            log.log(level, line)
    log.info(f"images: {len(pack.pixels):,}, {source.where}, prepared in {pack.path}")
    return pack


def describe(
    good: int,
    skipped: dict[str, str],
    left_out: dict[str, str],
    cut: tuple[int, float],
    where: str = "",
) -> list[tuple[int, str]]:
    """Describe the images that are skipped, left out or cropped, in lines.

    Args:
        cut: number of cropped images, and the mean fraction of their area that is cropped.
        where: reference to the complete lists, for the end of a line.

    Returns:
        List of (logging level, line or "").
    """
    others, lines = set(other_names(left_out)), []
    if skipped:
        some = f"{some_of(skipped, 5)}{where}"
        lines += [f"skipped {len(skipped)} of {len(skipped) + good} images: {some}"]
    named = {n: w for n, w in left_out.items() if n not in others and not w.startswith(HIDDEN)}
    if named:
        lines += [f"left out {len(named)}: {some_of(named, 5)}{where}"]
    lines += [count_archives(left_out)]
    infos = [count_hidden(left_out)]
    if count := cut[0]:
        infos += [
            f"{count:,} of {limits.counted(good, 'image')} {'were' if count > 1 else 'was'} cropped"
            f", on average by {cut[1]:.0%} of their area; --fit pad keeps all of it"
        ]
    return [(logging.WARNING, line) for line in lines] + [(logging.INFO, line) for line in infos]


def is_whole(folder: Path) -> bool:
    """Check that a folder is an intact pack; the pixels are hashed once per process.

    Raises:
        OSError: the pixels cannot be read at the moment, though they may be intact.
    """
    try:
        pack = _read(folder)
        status = os.stat(pack.pixels.filename)
    except (*_NOT_THERE, ValueError, TypeError, OverflowError):
        return False
    state = (str(folder), status.st_ino, status.st_size, status.st_mtime_ns)
    if state not in _checked and _sha256(pack.pixels) == pack.manifest["pixels_sha256"]:
        _checked.add(state)
    return state in _checked


def _read(folder):
    """Memory-map the pixels of a pack; ValueError or TypeError if their size is wrong."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise ValueError("no manifest")
    shape = tuple(manifest["shape"])
    path, header = folder / "pixels.npy", npy_header(shape)
    if not path.exists():
        path, header = folder / "pixels.u8", b""
    with open_regular(path) as file:
        right = file.read(len(header)) == header
    if not right or path.stat().st_size != len(header) + math.prod(shape):
        raise ValueError("not the pixels of this manifest")
    pixels = np.memmap(path, np.uint8, "r", offset=len(header), shape=shape)
    return Pack(pixels, manifest, folder)


def read_manifest(folder: Path) -> dict | None:
    """Read the manifest of a pack; None if there is no valid one.

    Raises:
        OSError: the manifest cannot be read at the moment.
    """
    manifest = read_json(folder / "manifest.json", limits.MANIFEST_BYTES)
    kinds = {"shape": list, "pixels_sha256": str, "skipped": dict, "names": list, "where": str}
    right = all(isinstance(manifest.get(key), kind) for key, kind in kinds.items())
    return manifest if right else None


def _sha256(pixels):
    sha256, flat = hashlib.sha256(), pixels.reshape(-1)
    with progress(pixels.nbytes >> 20, "checking the prepared images", "MB") as bar:
        for start in range(0, flat.size, _CHECK_AT_ONCE):
            sha256.update(flat[start : start + _CHECK_AT_ONCE])
            bar.update(_CHECK_AT_ONCE >> 20)
    return sha256.hexdigest()
