"""Decode, crop and resize every picture once, into one uint8 array on disk.

A pack is a folder with `pixels.u8` (raw uint8, pictures x height x width x channels) and
`manifest.json`. It is named by a key of everything that its pixels depend on, so every later run
with the same settings takes it as it is.
"""

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest, make_directory, write_text
from dcgan_tf.data.preprocess import FILTER, BadPicture, crop_and_resize, to_plain

log = logging.getLogger(__name__)

FORMAT = 1  # part of the key: a change in how pixels are made must not reuse old packs
ROWS_AT_ONCE = 128


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


def open_pack(config, source):
    """The pack for a config, made now if it is not there yet.

    Args:
        config: config.Config, resolved.
        source: sources.open_source(config).

    Returns:
        Pack.

    Raises:
        UserError: too many bad pictures, none left, or no room on the disk.
    """
    recipe = _recipe(config, source)
    folder = Path(config.packs) / f"{config.dataset}-{config.image_size}-{digest(recipe)[:16]}"
    if not _is_whole(folder):
        make_directory(folder.parent, "--packs")
        # Two runs that need the same pack: the second waits and finds it made.
        with filelock.FileLock(f"{folder}.lock"):
            if not _is_whole(folder):
                _make(folder, config, source, recipe)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    pixels = np.memmap(folder / "pixels.u8", np.uint8, "r", shape=tuple(manifest["shape"]))
    _check_skipped(config, source, len(pixels), manifest["skipped"])
    _tell_skipped(folder, len(pixels), manifest["skipped"])
    log.info(f"pictures: {len(pixels):,}, {source.where}, prepared in {folder}")
    return Pack(pixels, manifest, folder)


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
    return {
        "format": FORMAT,
        "source": source.fingerprint,
        "crop": config.crop,
        "size": config.image_size,
        "channels": config.channels,
        "filter": FILTER,
        "subset": config.subset,
        "subset_seed": config.subset_seed if config.subset else 0,
    }


def _is_whole(folder):
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return (folder / "pixels.u8").stat().st_size == int(np.prod(manifest["shape"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make(folder, config, source, recipe):
    """Write the pack beside its place and move it there when it is whole."""
    wanted = config.subset or len(source.names)
    shape = (config.image_size, config.image_size, config.channels)
    temporary = folder.with_name(f".making-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process: we hold the lock
    shutil.rmtree(folder, ignore_errors=True)  # damaged, or it would have been taken
    _check_room(folder.parent, wanted * int(np.prod(shape)))
    temporary.mkdir()
    try:
        rows, skipped, sha256 = _write_pixels(temporary, config, source, wanted)
        _check_skipped(config, source, len(rows), skipped)
        manifest = {
            **recipe,
            "dataset": config.dataset,
            "where": str(source.where),
            "shape": [len(rows), *shape],
            "pixels_sha256": sha256,
            "skipped": skipped,
            "names": [source.names[index] for index in rows],
        }
        write_text(temporary / "manifest.json", json.dumps(manifest, indent=1) + "\n")
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _tell_skipped(folder, good, skipped):
    if skipped:
        some = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:5])
        more = ", ..." if len(skipped) > 5 else ""
        log.warning(
            f"skipped {len(skipped)} of {len(skipped) + good} pictures: {some}{more} "
            f"(all in {folder / 'manifest.json'})"
        )


def _check_room(folder, size):
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"--packs {folder}: the prepared pictures need {size / 1e9:.2f} GB, "
            f"{free / 1e9:.2f} GB are free; free some or name another disk"
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
    with (
        (folder / "pixels.u8").open("wb") as file,
        tqdm(total=wanted, desc="preparing", unit="img", disable=None) as bar,
    ):
        while len(rows) < wanted and tried < len(order):
            batch = sorted(order[tried : tried + wanted - len(rows)].tolist())
            tried += len(batch)
            done = set()
            for index, pixels in _decode(config, source, batch, skipped):
                file.write(pixels)
                sha256.update(pixels)
                rows.append(index)
                done.add(index)
                bar.update()
            for index in batch:
                if index not in done:
                    skipped.setdefault(source.names[index], "damaged")
        file.flush()
        os.fsync(file.fileno())
    return rows, skipped, sha256.hexdigest()


def _check_skipped(config, source, good, skipped):
    some = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:3])
    bad = len(skipped)
    if not good:
        raise UserError(f"--data {source.where}: none of {bad} pictures can be used ({some})")
    if bad > config.max_bad * (good + bad):
        raise UserError(
            f"--data {source.where}: {bad} of {good + bad} pictures cannot be used ({some}), "
            f"more than --max-bad {config.max_bad}; mend them or allow more"
        )
    if good < config.subset:
        raise UserError(
            f"--subset {config.subset}: only {good} pictures of {source.where} can be used ({some})"
        )


def _decode(config, source, indices, skipped):
    """Yield (index, uint8 picture) for the good ones; note why the others are not in `skipped`."""

    def plain_files():
        for index, encoded in source.read(indices):
            try:
                yield index, to_plain(encoded, config)
            except BadPicture as reason:
                skipped[source.names[index]] = str(reason)

    signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.string))
    dataset = tf.data.Dataset.from_generator(plain_files, output_signature=signature)
    dataset = dataset.map(
        lambda index, encoded: (index, crop_and_resize(encoded, config)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # A picture that TensorFlow refuses is simply missing; who is missing tells its name.
    dataset = dataset.ignore_errors(log_warning=False).batch(ROWS_AT_ONCE).prefetch(2)
    for batch_indices, batch in dataset.as_numpy_iterator():
        yield from zip(batch_indices.tolist(), batch, strict=True)
