"""Decode, crop and resize every picture once, into one uint8 array on disk.

A pack is a folder with `pixels.npy` (uint8, pictures x height x width x channels) and
`manifest.json`. It is named by a key of everything that its pixels depend on, so every later run
with the same settings takes it as it is. Packs of earlier versions have `pixels.u8`, the same bytes
without the header.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import whole_folder, write_text
from dcgan_tf.common.errors import UserError, describe, is_file_system_error
from dcgan_tf.common.files import digest, json_object, make_directory, mark_used
from dcgan_tf.common.progress import progress
from dcgan_tf.data.preprocess import FILTER, preparer
from dcgan_tf.data.reading import BadPicture
from dcgan_tf.data.sources import NO_PICTURE, find, open_source

log = logging.getLogger(__name__)

FORMAT = 1  # part of the key: a change in how pixels are made must not reuse old packs
HEADER = 128  # bytes before the pixels in pixels.npy
_CHECK_AT_ONCE = 8 * 2**20  # bytes
_checked = set()  # files whose digest this process has found right


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


def open_pictures(config, pixels_sha256=None):
    """What `open_pack` takes: the pictures of a config, or the pack that has them already.

    Args:
        config: config.Config, resolved.
        pixels_sha256: of the pack that a run was trained on. Where the packs have it whole, the
            archive need not be there any more; --data that names another place is opened.

    Raises:
        UserError: as sources.open_source.
    """
    pack = find_pack(config.packs, pixels_sha256) if pixels_sha256 else None
    if not pack:
        return open_source(config)
    try:
        same = str(find(config)) == pack.where
    except UserError:  # nothing is there any more
        same = True
    return pack if same else open_source(config)


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


def find_pack(packs, pixels_sha256):
    """Pack | None: the whole one with these pixels in a folder of packs."""
    for path in sorted(Path(packs).glob("*/manifest.json")):
        manifest = _read_manifest(path.parent)
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
                _make(making, config, source, recipe)
    pack = _open(folder)
    _check_skipped(config, source, len(pack.pixels), pack.manifest["skipped"])
    if pack.manifest.get("left_out") != source.left_out:
        pack.manifest["left_out"] = source.left_out
        with contextlib.suppress(OSError):  # on a read-only disk
            _write_manifest(folder, pack.manifest)
    return _tell(pack, source.left_out, source.where)


def _open(folder):
    mark_used(folder / "manifest.json")
    manifest = _read_manifest(folder)
    return Pack(_map(folder, manifest), manifest, folder)


def chosen_order(count, subset, seed):
    """Which pictures to try, in which order.

    Args:
        count: how many there are; subset: how many are wanted, 0 for all; seed: of the choice.

    Returns:
        int ndarray: for a subset `numpy.random.RandomState(seed).permutation(count)`, of which the
        first `subset` usable ones are taken (NumPy keeps that stream frozen); else 0..count-1.
    """
    return np.random.RandomState(seed).permutation(count) if subset else np.arange(count)


def _recipe(config, source):
    recipe = {
        "format": FORMAT,
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


# On disk


def is_whole(folder):
    """bool: whether a folder is a pack whose pixels are as they were written.

    Their SHA-256 is computed once in a process, so that damage on the disk is not trained on.
    """
    manifest = _read_manifest(folder)
    try:
        pixels = _map(folder, manifest)
        status = os.stat(pixels.filename)
    except (OSError, ValueError, TypeError, OverflowError):
        return False
    state = (str(folder), status.st_ino, status.st_size, status.st_mtime_ns)
    if state not in _checked and _sha256(pixels) == manifest["pixels_sha256"]:
        _checked.add(state)
    return state in _checked


def _read_manifest(folder):
    """dict | None: where there is none of the kind that is written here, None."""
    try:
        manifest = json_object((folder / "manifest.json").read_bytes())
    except OSError:
        return None
    kinds = {"shape": list, "pixels_sha256": str, "skipped": dict, "names": list, "where": str}
    right = all(isinstance(manifest.get(key), kind) for key, kind in kinds.items())
    return manifest if right else None


def _map(folder, manifest):
    """numpy.memmap of a pack's pixels; ValueError or TypeError where they are not whole."""
    if manifest is None:
        raise ValueError("no manifest")
    shape = tuple(manifest["shape"])
    path, header = folder / "pixels.npy", npy_header(shape)
    if not path.exists():
        path, header = folder / "pixels.u8", b""
    with path.open("rb") as file:
        right = file.read(len(header)) == header
    if not right or path.stat().st_size != len(header) + int(np.prod(shape)):
        raise ValueError("not the pixels of this manifest")
    return np.memmap(path, np.uint8, "r", offset=len(header), shape=shape)


def _sha256(pixels):
    sha256, flat = hashlib.sha256(), pixels.reshape(-1)
    with progress(pixels.nbytes >> 20, "checking the prepared pictures", "MB") as bar:
        for start in range(0, flat.size, _CHECK_AT_ONCE):
            sha256.update(flat[start : start + _CHECK_AT_ONCE])
            bar.update(_CHECK_AT_ONCE >> 20)
    return sha256.hexdigest()


def npy_header(shape):
    """bytes: what comes before the data in a .npy file of uint8, always HEADER bytes long."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    length = HEADER - 10
    return (
        b"\x93NUMPY\x01\0" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"
    )


def _make(folder, config, source, recipe):
    """Write the pack into `folder`."""
    wanted = config.subset or len(source.names)
    shape = (config.image_size, config.image_size, config.channels)
    _check_room(folder.parent, HEADER + wanted * int(np.prod(shape)))
    try:
        rows, skipped, sha256 = _write_pixels(folder, config, source, wanted)
        _check_skipped(config, source, len(rows), skipped)
        manifest = {
            **recipe,
            "dataset": config.dataset,
            "where": str(source.where),
            "shape": [len(rows), *shape],
            "pixels_sha256": sha256,
            "skipped": skipped,
            "left_out": source.left_out,
            "names": [source.names[index] for index in rows],
        }
        _write_manifest(folder, manifest)
    except OSError as error:
        if not is_file_system_error(error):
            raise
        raise UserError(describe(error), flag=f"--packs {folder.parent}") from None


def _write_manifest(folder, manifest):
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def _check_room(folder, size):
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"the prepared pictures need {limits.in_words(size)}, "
            f"{limits.in_words(free)} are free; free some or name another disk",
            flag=f"--packs {folder}",
        )


def _write_pixels(folder, config, source, wanted):
    """Write rows until there are `wanted` or no pictures are left.

    A bad picture's place is taken by the next one of the order, so only those are read that are
    needed. Rows are written in the order of the names, replacements after them.

    Returns:
        The index of each row's picture, {name: reason} of the skipped, SHA-256 of the pixels.
    """
    order = chosen_order(len(source.names), config.subset, config.subset_seed)
    rows, skipped, tried, sha256 = [], {}, 0, hashlib.sha256()
    shape = (config.image_size, config.image_size, config.channels)
    with (
        (folder / "pixels.npy").open("wb") as file,
        progress(wanted, "preparing") as bar,
        _preparing(config) as prepare,
    ):
        file.write(npy_header((wanted, *shape)))
        while len(rows) < wanted and tried < len(order):
            batch = sorted(order[tried : tried + wanted - len(rows)].tolist())
            tried += len(batch)
            for index, pixels in prepare(source.read(batch)):
                if isinstance(pixels, BadPicture):
                    skipped[source.names[index]] = str(pixels)
                    continue
                file.write(pixels)
                sha256.update(pixels)
                rows.append(index)
                bar.update()
        file.seek(0)  # only now is it known how many there are
        file.write(npy_header((len(rows), *shape)))
        file.flush()
        os.fsync(file.fileno())
    return rows, skipped, sha256.hexdigest()


@contextlib.contextmanager
def _preparing(config):
    """Yields a function of (index, encoded) pairs that gives (index, picture or BadPicture).

    Pictures are prepared side by side, in the order in which they come and a few ahead.
    """
    one, threads = preparer(config), os.cpu_count() or 1

    def outcome(encoded):
        try:
            return one(encoded)
        except BadPicture as bad:
            return bad

    def all_of(pairs):
        waiting, size = deque(), 0
        for index, encoded in pairs:
            length = 0 if isinstance(encoded, BadPicture) else len(encoded)
            waiting.append((index, length, pool.submit(outcome, encoded)))
            size += length
            while len(waiting) > 8 * threads or (size > limits.WAITING_BYTES and len(waiting) > 1):
                index, length, done = waiting.popleft()
                size -= length
                yield index, done.result()
        while waiting:
            index, _, done = waiting.popleft()
            yield index, done.result()

    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # odd files have a reason each
        try:
            yield all_of
        finally:
            pool.shutdown(cancel_futures=True)


# What is said


def _tell(pack, left_out, where):
    """The pack, after saying what is in it and what is not."""
    good, skipped = len(pack.pixels), pack.manifest["skipped"]
    manifest = pack.path / "manifest.json"
    if skipped:
        log.warning(
            f"skipped {len(skipped)} of {len(skipped) + good} pictures: {_some(skipped, 5)} "
            f"(all in {manifest})"
        )
    named = {name: why for name, why in left_out.items() if why != NO_PICTURE}
    if named:
        log.warning(f"left out {len(named)}: {_some(named, 5)} (all in {manifest})")
    if len(named) < len(left_out):
        others = [name for name in left_out if name not in named]
        log.debug(f"{len(others)} other files there, no pictures by their names: {others[:5]}")
    log.info(f"pictures: {good:,}, {where}, prepared in {pack.path}")
    return pack


def _some(reasons, count):
    some = "; ".join(f"{name}: {reason}" for name, reason in list(reasons.items())[:count])
    return some + (", ..." if len(reasons) > count else "")


def _check_skipped(config, source, good, skipped):
    bad, some = len(skipped), _some(skipped, 3)
    if not good:
        raise UserError(
            f"none of {bad} pictures can be used ({some})" + _advice(config, skipped, ""),
            flag=f"--data {source.where}",
        )
    if bad > config.max_bad * (good + bad):
        raise UserError(
            f"{bad} of {good + bad} pictures cannot be used ({some}), "
            f"more than --max-bad {config.max_bad}"
            + _advice(config, skipped, "; mend them or allow more"),
            flag=f"--data {source.where}",
        )
    if good < config.subset:
        raise UserError(
            f"only {good} pictures of {source.where} can be used ({some})",
            flag=f"--subset {config.subset}",
        )


def _advice(config, skipped, else_this):
    """str: the end of a message about pictures that cannot be used."""
    others = sum("expected CelebA's" in reason for reason in skipped.values())
    if config.dataset == "celeba" and others:
        return "; pictures of your own? then add --dataset folder"
    return else_this
