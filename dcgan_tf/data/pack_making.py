"""Make a pack: decode, crop and resize every wanted image once."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError, describe, is_file_system_error
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.log import on_one_line
from dcgan_tf.common.progress import progress

HEADER = 128  # bytes before the pixels in pixels.npy
BLANK = 16  # of 256 levels: what spans fewer shows nothing
CUT = 0.01  # share of an image's area from which on it counts as cropped
_MANY = 0.1  # share of the images from which on it is worth a warning


def chosen_order(count: int, subset: int, seed: int) -> np.ndarray:
    """Order the images to try: for a subset (0: all) by NumPy's frozen permutation, else as is.

    The first `subset` usable ones are taken.
    """
    return np.random.RandomState(seed).permutation(count) if subset else np.arange(count)


def make_pack(folder: Path, config: Config, source, key: dict) -> None:
    """Write the pack into `folder`; its manifest begins with `key`."""
    wanted = config.subset or len(source.names)
    shape = (config.image_size, config.image_size, config.channels)
    size, free = HEADER + wanted * math.prod(shape), shutil.disk_usage(folder.parent).free
    if size > free:
        raise UserError(
            f"the prepared images need {limits.in_words(size)}, "
            f"{limits.in_words(free)} are free; free some or name another disk",
            flag=f"--packs {folder.parent}",
        )
    try:
        rows, skipped, sha256, cuts, warning = _write_pixels(folder, config, source, wanted)
        check_skipped(config, source, len(rows), skipped)
        manifest = {
            **key,
            "dataset": config.dataset,
            "where": str(source.where),
            "shape": [len(rows), *shape],
            "pixels_sha256": sha256,
            "skipped": skipped,
            "left_out": source.left_out,
            "warning": warning,
            "cut": [len(cuts), sum(cuts) / max(len(cuts), 1)],
            "names": [source.names[index] for index in rows],
        }
        write_manifest(folder, manifest)
    except MemoryError:
        raise UserError(
            "too little memory to prepare the images; close other programs, or skip large ones "
            "with a smaller --max-pixels",
            flag=f"--data {source.where}",
        ) from None
    except OSError as error:
        if not is_file_system_error(error):
            raise
        raise UserError(describe(error), flag=f"--packs {folder.parent}") from None


def write_manifest(folder: Path, manifest: dict) -> None:
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def npy_header(shape: tuple[int, ...]) -> bytes:
    """Write what comes before the data in a .npy file of uint8, always HEADER bytes long."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    length = HEADER - 10
    return (
        b"\x93NUMPY\x01\0" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"
    )


def _write_pixels(folder, config, source, wanted):
    """Write rows until there are `wanted` or no images are left.

    A bad image's place is taken by the next one of the order, so only those are read that are
    needed. Rows are written in the order of the names, replacements after them.

    Returns:
        The index of each row's image, {name: reason} of the skipped, SHA-256 of the pixels, the
        shares of the area of those that were cropped, a warning or "".
    """
    # It imports TensorFlow, which takes seconds: not before an image is refused.
    from dcgan_tf.data.preprocess import preparing

    order = chosen_order(len(source.names), config.subset, config.subset_seed)
    rows, skipped, tried, sha256 = [], {}, 0, hashlib.sha256()
    blank, different, cuts = 0, set(), []
    shape = (config.image_size, config.image_size, config.channels)
    with (
        (folder / "pixels.npy").open("wb") as file,
        progress(wanted, "preparing") as bar,
        preparing(config) as prepare,
    ):
        file.write(npy_header((wanted, *shape)))
        while len(rows) < wanted and tried < len(order):
            batch = sorted(order[tried : tried + wanted - len(rows)].tolist())
            tried += len(batch)
            for index, pixels, cut in prepare(_read(source, batch)):
                if isinstance(pixels, BadFile):
                    skipped[source.names[index]] = str(pixels)
                    continue
                file.write(pixels)
                sha256.update(pixels)
                rows.append(index)
                cuts += [cut] * (cut > CUT)
                if np.ptp(pixels, (0, 1)).max() < BLANK:
                    blank += 1
                else:
                    different.add(hash(pixels.tobytes()))
                bar.update()
        file.seek(0)  # only now is it known how many there are
        file.write(npy_header((len(rows), *shape)))
        file.flush()
        os.fsync(file.fileno())
    warning = _warning(config, len(rows), blank, len(rows) - blank - len(different))
    return rows, skipped, sha256.hexdigest(), cuts, warning


def _read(source, indices) -> Iterator[tuple]:
    """Read images of a source; what fails besides them stops the making."""
    try:
        yield from source.read(indices)
    except BadFile as bad:  # not of an image: the archive has gone or become something else
        raise UserError(str(bad), flag=f"--data {source.where}") from None
    except OSError as error:
        if error.errno is None:
            raise
        raise UserError(describe(error), flag=f"--data {source.where}") from None


def _warning(config, count, blank, equal):
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


def some_of(reasons: Mapping[str, str], count: int) -> str:
    """Join the first of {name: reason} for a message."""
    first = list(reasons.items())[:count]
    some = "; ".join(f"{on_one_line(name)}: {reason}" for name, reason in first)
    return some + (", ..." if len(reasons) > count else "")


def check_skipped(config: Config, source, good: int, skipped: Mapping[str, str]) -> None:
    """Raise UserError where too many images were skipped."""
    bad, some = len(skipped), some_of(skipped, 3)
    celeba = config.dataset == "celeba" and "expected CelebA's" in str([*skipped.values()])
    own = "; images of your own? then add --dataset folder" if celeba else ""
    where = f"--data {source.where}"
    if not good:
        raise UserError(f"none of {bad} images can be used ({some}){own}", flag=where)
    if bad > config.max_bad * (good + bad):
        raise UserError(
            f"{bad} of {good + bad} images cannot be used ({some}), "
            f"more than --max-bad {config.max_bad}{own or '; mend them or allow more'}",
            flag=where,
        )
