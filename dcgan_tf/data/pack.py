"""Open or make a pack: images prepared once, in one uint8 array on disk.

A pack is a folder with `pixels.npy` (uint8, images x height x width x channels) and
`manifest.json`, for a training with labels also `labels.npy` (uint8, images x labels). Its name is
a hash of everything that its content depends on, so every later run with the same settings reuses
it. Packs of earlier versions have `pixels.u8`, without a header.
"""

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import whole_folder, write_text
from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError, describe, is_file_system_error
from dcgan_tf.common.files import digest, make_directory, mark_used
from dcgan_tf.common.foreign import BadFile, open_regular, read_array, read_file, read_json
from dcgan_tf.common.labels import Labels
from dcgan_tf.common.progress import progress
from dcgan_tf.data.eight_bit import mean_cut
from dcgan_tf.data.forms import describe_unused, some_of
from dcgan_tf.data.labels import CLASS, read_labels
from dcgan_tf.data.places import find
from dcgan_tf.data.sources import Read, Source, open_source

Manifest = dict[str, Any]
log = logging.getLogger(__name__)

FILTER = "bicubic, antialiased"
# Part of the key, so that old packs are not reused when the preparation of pixels changes. Format 2
# added values of more than 8 bits and color profiles (eight_bit.py), which only folders may have.
FORMAT, FORMAT_OF_FOLDERS = 1, 2
LABELS, LABELS_BYTES = "labels.npy", 2**30
HEADER = 128  # bytes before the pixels in pixels.npy
BLANK = 16  # of 256 levels: what spans fewer shows nothing
_MANY = 0.1  # share of the images from which on it is worth a warning
_CHECK_AT_ONCE = 8 * 2**20  # bytes
_checked = set()  # files whose digest this process has verified


@dataclass(frozen=True)
class Pack:
    """Prepared images.

    Attributes:
        pixels: uint8 (count, height, width, channels), memory-mapped.
        manifest: source, crop, size, filter, count, names, skipped, pixels_sha256, ...
        path: the folder with both.
        rows: uint8 (count, labels), 0 or 1; None without labels.
    """

    pixels: np.ndarray
    manifest: Manifest
    path: Path
    rows: np.ndarray | None = None

    @property
    def labels(self) -> Labels | None:
        return None if self.rows is None else Labels.of(**self.manifest["labels"], rows=self.rows)

    @property
    def labels_sha256(self) -> str:
        """Hash of the names and all labels; "" without any."""
        return self.manifest.get("labels_sha256", "")

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
    config: Config,
    pixels_sha256: str | None,
    pack_first: bool = False,
    named: bool = False,
    labels_sha256: str = "",
):
    """Open the source of a config or, if it is missing, the pack that a run was trained on.

    Args:
        pixels_sha256: hash of the pack's pixels; None without a pack.
        pack_first: prefer the pack, which has only the run's subset, to the source with all images.
        named: whether the command line names `data`: then only a pack made from it replaces it.
        labels_sha256: hash of the labels that a pack must have; "" for any pack.

    Raises:
        UserError: as in sources.open_source, if there is no such pack either.
    """
    if pack_first and (pack := find_pack(config.packs, pixels_sha256, labels_sha256)):
        return pack
    try:
        return open_source(config)
    except UserError:
        pack = find_pack(config.packs, pixels_sha256, labels_sha256)
        place = find(config) if config.data in FETCHED else Path(config.data)
        if pack and (not named or pack.where in (str(place), config.data)):
            return pack
        raise


def narrow(config: Config, source: Source | Pack, count: int) -> Config:
    """Choose `count` of a source's images by subset_seed, or all if there are few more."""
    # With few more, unusable ones could leave too few, and warn of a subset that nobody set.
    enough = count < (1 - config.max_bad) * len(source.names)
    return replace(config, subset=count if enough else 0)


def find_pack(packs: str | Path, pixels_sha256: str | None, labels_sha256: str = "") -> Pack | None:
    """Find the intact pack with these pixels, and these labels if any, in a folder of packs."""
    paths = Path(packs).glob("[!.]*/manifest.json") if pixels_sha256 else ()
    for path in sorted(paths):  # names with a dot are packs in the making
        with contextlib.suppress(PermissionError):  # a pack of another user
            manifest = read_manifest(path.parent)
            if not manifest or manifest["pixels_sha256"] != pixels_sha256:
                continue
            if labels_sha256 not in ("", manifest.get("labels_sha256")):
                continue
            if is_whole(path.parent):
                mark_used(path)
                return _map(path.parent)
    return None


def open_pack(config: Config, source: Source | Pack, labeled: bool = False) -> Pack:
    """Open the pack for a config; make it if it does not exist yet.

    Args:
        source: from sources.open_source(config) or `open_images`.
        labeled: whether the pack has the labels that the config asks for, as a training needs.

    Raises:
        UserError: too many unusable images, none left, no labels there, or a full disk.
    """
    if isinstance(source, Pack):
        return _log_content(source, source)
    key, rows = pack_key(config, source), None
    if labeled and config.labels:
        names, rows = read_labels(config, source)
        key["labels"] = {"names": names, "classes": config.labels == CLASS}
        key["labels_of_source"] = _hash_labels(key["labels"], rows)
    folder = Path(config.packs) / f"{config.dataset}-{config.image_size}-{digest(key)[:16]}"
    if not is_whole(folder):
        if folder.exists():
            log.warning(f"{folder}: this pack is damaged and is made again")
        make_directory(folder.parent, "--packs")
        # If two runs need the same pack, the second one waits for the first.
        with whole_folder(folder, is_whole) as making:
            if making:
                _make_pack(making, config, source, key, rows)
    mark_used(folder / "manifest.json")
    pack = _map(folder)
    _check_skipped(config, source, len(pack.pixels), pack.manifest["skipped"])
    if len(pack.pixels) < config.subset:
        log.warning(f"only {len(pack.pixels):,} images of a subset of {config.subset:,} are usable")
    if pack.manifest.get("left_out") != source.left_out:
        pack.manifest["left_out"] = source.left_out
        with contextlib.suppress(OSError):  # on a read-only disk
            _write_manifest(folder, pack.manifest)
    return _log_content(pack, source)


def pack_key(config: Config, source: Source) -> dict[str, Any]:
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


def _log_content(pack: Pack, source: Source | Pack) -> Pack:
    """Log what is in a pack and what was left out, and return the pack."""
    manifest, count = pack.manifest, len(pack.pixels)
    cut, where = manifest.get("cut", (0, 0)), f" (all in {pack.path / 'manifest.json'})"
    lines = describe_unused(count, manifest["skipped"], source.left_out, cut, where)
    if warning := manifest.get("warning"):  # older packs have none
        lines.append((logging.WARNING, warning))
    if pack.rows is not None and (unseen := _name_unseen(pack.rows, manifest["labels"])):
        lines.append((logging.WARNING, f"labels that no image or every image has: {unseen}"))
    for level, line in lines:
        log.log(level, line)
    usable = f" usable of {count + len(manifest['skipped']):,}" * bool(manifest["skipped"])
    log.info(f"images: {count:,}{usable}, {source.where}, prepared in {pack.path}")
    return pack


def _name_unseen(rows: np.ndarray, about: dict[str, Any]) -> str:
    counts = rows.sum(axis=0, dtype=np.int64)
    unseen = (counts == 0) | (counts == len(rows))
    return ", ".join(name for name, none in zip(about["names"], unseen, strict=True) if none)


def is_whole(folder: Path) -> bool:
    """Check that a folder is an intact pack; the pixels are hashed once per process.

    Raises:
        OSError: the pixels cannot be read at the moment, though they may be intact.
    """
    try:
        pack = _map(folder)
        status = os.stat(pack.pixels.filename)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    except (ValueError, TypeError, OverflowError):
        return False
    state = (str(folder), status.st_ino, status.st_size, status.st_mtime_ns)
    if state not in _checked and _sha256(pack.pixels) == pack.manifest["pixels_sha256"]:
        _checked.add(state)
    return state in _checked


def _map(folder: Path) -> Pack:
    """Memory-map the pixels of a pack; ValueError or TypeError if their size is wrong."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise ValueError("no manifest")
    shape = tuple(manifest["shape"])
    path, header = folder / "pixels.npy", _npy_header(shape)
    if not path.exists():
        path, header = folder / "pixels.u8", b""
    with open_regular(path) as file:
        right = file.read(len(header)) == header
    if not right or path.stat().st_size != len(header) + math.prod(shape):
        raise ValueError("not the pixels of this manifest")
    pixels = np.memmap(path, np.uint8, "r", offset=len(header), shape=shape)
    return Pack(pixels, manifest, folder, _read_rows(folder, manifest))


def _read_rows(folder: Path, manifest: Manifest) -> np.ndarray | None:
    """Read the labels of a pack, None without; ValueError if they are not those of its manifest."""
    if "labels_sha256" not in manifest:
        return None
    rows, about = read_array(read_file(folder / LABELS, LABELS_BYTES)), manifest.get("labels", {})
    shape = (manifest["shape"][0], len(about.get("names", ())))
    right = rows.dtype == np.uint8 and rows.shape == shape
    if not right or _hash_labels(about, rows) != manifest["labels_sha256"]:
        raise ValueError("not the labels of this manifest")
    return rows


def _hash_labels(about: dict[str, Any], rows: np.ndarray) -> str:
    return digest([about, rows.shape, hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()])


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a pack, None if there is no valid one; OSError as in is_whole."""
    manifest = read_json(folder / "manifest.json", limits.MANIFEST_BYTES)
    kinds = {"shape": list, "pixels_sha256": str, "skipped": dict, "names": list, "where": str}
    right = all(isinstance(manifest.get(key), kind) for key, kind in kinds.items())
    return manifest if right else None


def _sha256(pixels: np.ndarray) -> str:
    sha256, flat = hashlib.sha256(), pixels.reshape(-1)
    with progress(pixels.nbytes >> 20, "checking the prepared images", "MB") as bar:
        for start in range(0, flat.size, _CHECK_AT_ONCE):
            sha256.update(flat[start : start + _CHECK_AT_ONCE].data)
            bar.update(_CHECK_AT_ONCE >> 20)
    return sha256.hexdigest()


def chosen_order(count: int, subset: int, seed: int) -> np.ndarray:
    """Order the images to try: for a subset (0: all) by NumPy's frozen permutation, else as is.

    The first `subset` usable ones are taken.
    """
    return np.random.RandomState(seed).permutation(count) if subset else np.arange(count)


def _make_pack(
    folder: Path, config: Config, source: Source, key: dict[str, Any], rows: np.ndarray | None
) -> None:
    """Write the pack into `folder`; its manifest begins with `key`."""
    wanted = config.subset or len(source.names)
    shape = (wanted, config.image_size, config.image_size, config.channels)
    size, free = HEADER + math.prod(shape), shutil.disk_usage(folder.parent).free
    flag = f"--packs {folder.parent}"
    if size > free:
        raise UserError(
            f"the prepared images need {limits.in_words(size)}, "
            f"{limits.in_words(free)} are free; free some or name another disk",
            flag=flag,
        )
    try:
        written = _write_pixels(folder, config, source, shape)
        _check_skipped(config, source, written["shape"][0], written["skipped"])
        if rows is not None:
            places = {name: place for place, name in enumerate(source.names)}
            rows = rows[[places[name] for name in written["names"]]]
            written["labels_sha256"] = _hash_labels(key["labels"], rows)
            with (folder / LABELS).open("wb") as file:
                np.save(file, rows)
                file.flush()
                os.fsync(file.fileno())
        about = {"dataset": config.dataset, "where": str(source.where)}
        _write_manifest(folder, {**key, **about, **written, "left_out": source.left_out})
    except MemoryError:
        raise UserError(
            "too little memory to prepare the images; close other programs, or skip large ones "
            "with a smaller --max-pixels",
            flag=f"--data {source.where}",
        ) from None
    except OSError as error:
        if not is_file_system_error(error):
            raise
        raise UserError(describe(error), flag=flag) from None


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """Make the HEADER bytes that come before the data in a .npy file of uint8."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(HEADER - 11)
    return b"\x93NUMPY\x01\0" + (HEADER - 10).to_bytes(2, "little") + text.encode() + b"\n"


def _write_pixels(folder: Path, config: Config, source: Source, shape: tuple[int, ...]) -> Manifest:
    """Write rows until there are as many as `shape` says or no images are left.

    A bad image's place is taken by the next one of the order, so only those are read that are
    needed. Rows are written in the order of the names, replacements after them. Returns the part of
    the manifest that is known only then.
    """
    # It imports TensorFlow, which takes seconds: not before an image is refused.
    from dcgan_tf.data.preprocess import preparing

    order = chosen_order(len(source.names), config.subset, config.subset_seed)
    names, skipped, tried, wanted = [], {}, 0, shape[0]
    sha256, blank, different, cuts = hashlib.sha256(), 0, set(), []
    with (
        (folder / "pixels.npy").open("wb") as file,
        progress(wanted, "preparing") as bar,
        preparing(config) as prepare,
    ):
        file.write(_npy_header(shape))
        while len(names) < wanted and tried < len(order):
            batch = sorted(order[tried : tried + wanted - len(names)].tolist())
            tried += len(batch)
            for index, pixels, cut in prepare(_read(source, batch)):
                if isinstance(pixels, BadFile):
                    skipped[source.names[index]] = str(pixels)
                    continue
                file.write(pixels.data)
                sha256.update(pixels.data)
                names.append(source.names[index])
                cuts.append(cut)
                if np.ptp(pixels, (0, 1)).max() < BLANK:
                    blank += 1
                else:
                    different.add(hash(pixels.tobytes()))
                bar.update()
        shape = (len(names), *shape[1:])
        file.seek(0)  # only now is it known how many there are
        file.write(_npy_header(shape))
        file.flush()
        os.fsync(file.fileno())
    return {
        "shape": shape,
        "pixels_sha256": sha256.hexdigest(),
        "skipped": skipped,
        "warning": _warning(config, len(names), blank, len(names) - blank - len(different)),
        "cut": mean_cut(cuts),
        "names": names,
    }


def _read(source: Source, indices: list[int]) -> Read:
    """Read images of a source; what fails besides them stops the making."""
    try:
        yield from source.read(indices)
    except (BadFile, OSError) as error:  # the archive has gone, or its disk fails
        if isinstance(error, OSError) and error.errno is None:
            raise
        why = describe(error) if isinstance(error, OSError) else str(error)
        raise UserError(why, flag=f"--data {source.where}") from None


def _warning(config: Config, count: int, blank: int, equal: int) -> str:
    parts = []
    if blank and blank >= _MANY * count:
        parts.append(
            f"{blank} of {count} images are blank, fewer than {BLANK} of 256 levels after the crop "
            f"({config.crop}) and resizing: try --fit pad or another --crop, or multiply 12-bit "
            "values in 16-bit files by 16"
        )
    if equal and equal >= _MANY * count:
        parts.append(f"{equal} of {count} images repeat another one pixel for pixel")
    return "; ".join(parts)


def _check_skipped(config: Config, source: Source, good: int, skipped: dict[str, str]) -> None:
    """Raise UserError where too many images were skipped."""
    bad, some = len(skipped), some_of(skipped, 3)
    celeba = config.dataset == "celeba" and "expected CelebA's" in str([*skipped.values()])
    advice = "; for images of your own: train --dataset folder, evaluate --against data"
    advice = advice if celeba else ""
    if not good:
        why = f"none of {bad} images can be used ({some}){advice}"
    elif bad > config.max_bad * (good + bad):
        advice = advice or "; mend them, leave them out, or let train skip more with --max-bad"
        why = f"{bad} of {good + bad} images cannot be used ({some}), more than "
        why += f"{100 * config.max_bad:g}%{advice}"
    else:
        return
    raise UserError(why, flag=f"--data {source.where}")
