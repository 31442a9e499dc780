"""Make a pack: decode, crop and resize every wanted image once."""

import hashlib
import os
import shutil

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, describe, is_file_system_error
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.log import on_one_line
from dcgan_tf.common.progress import progress
from dcgan_tf.data.pack_files import HEADER, npy_header, write_manifest

BLANK = 16  # of 256 levels: what spans fewer shows nothing
_MANY = 0.1  # share of the images from which on it is worth a warning
_LOOKED_AT = 16  # blank images whose crop is looked into


def chosen_order(count, subset, seed):
    """Which pictures to try, in which order.

    Args:
        count: how many there are; subset: how many are wanted, 0 for all; seed: of the choice.

    Returns:
        int ndarray: for a subset `numpy.random.RandomState(seed).permutation(count)`, of which the
        first `subset` usable ones are taken (NumPy keeps that stream frozen); else 0..count-1.
    """
    return np.random.RandomState(seed).permutation(count) if subset else np.arange(count)


def make_pack(folder, config, source, recipe):
    """Write the pack into `folder`."""
    wanted = config.subset or len(source.names)
    shape = (config.image_size, config.image_size, config.channels)
    _check_room(folder.parent, HEADER + wanted * int(np.prod(shape)))
    try:
        rows, skipped, sha256, warning = _write_pixels(folder, config, source, wanted)
        check_skipped(config, source, len(rows), skipped)
        manifest = {
            **recipe,
            "dataset": config.dataset,
            "where": str(source.where),
            "shape": [len(rows), *shape],
            "pixels_sha256": sha256,
            "skipped": skipped,
            "left_out": source.left_out,
            "warning": warning,
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
        The index of each row's image, {name: reason} of the skipped, SHA-256 of the pixels, a
        warning about them or "".
    """
    # Imports TensorFlow, for which nobody should wait whose images are refused.
    from dcgan_tf.data.preprocess import preparing

    order = chosen_order(len(source.names), config.subset, config.subset_seed)
    rows, skipped, tried, sha256, survey = [], {}, 0, hashlib.sha256(), _Survey()
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
            for index, pixels in prepare(_read(source, batch)):
                if isinstance(pixels, BadFile):
                    skipped[source.names[index]] = str(pixels)
                    continue
                file.write(pixels)
                sha256.update(pixels)
                survey.add(index, pixels)
                rows.append(index)
                bar.update()
        file.seek(0)  # only now is it known how many there are
        file.write(npy_header((len(rows), *shape)))
        file.flush()
        os.fsync(file.fileno())
    return rows, skipped, sha256.hexdigest(), survey.warning(config, source, len(rows))


def _read(source, indices):
    """What a source reads; what fails beside the images stops the making."""
    try:
        yield from source.read(indices)
    except BadFile as bad:  # not of an image: the archive has gone or become something else
        raise UserError(str(bad), flag=f"--data {source.where}") from None
    except OSError as error:
        if error.errno is None:
            raise
        raise UserError(describe(error), flag=f"--data {source.where}") from None


def is_blank(pixels: np.ndarray) -> bool:
    """Return whether no channel of (height, width, channels) has any contrast."""
    return bool((pixels.max(0).max(0) - pixels.min(0).min(0)).max() < BLANK)


class _Survey:
    """What the rows of a pack show, for a warning before the training."""

    def __init__(self):
        self._blank, self._different = [], set()
        self._low, self._high = 255, 0

    def add(self, index, pixels):
        if is_blank(pixels):
            self._blank.append(index)
        else:
            self._different.add(hash(pixels.tobytes()))
        self._low = min(self._low, int(pixels.min()))
        self._high = max(self._high, int(pixels.max()))

    def warning(self, config, source, count):
        """One line, "" where there is nothing to say."""
        blank = len(self._blank)
        equal = count - blank - len(self._different)
        parts = []
        if blank and blank >= _MANY * count:
            parts.append(f"{blank} of {count} images are blank: {self._reason(config, source)}")
        if equal and equal >= _MANY * count:
            parts.append(f"{equal} of {count} images repeat another one pixel for pixel")
        return "; ".join(parts)

    def _reason(self, config, source):
        from dcgan_tf.data.preprocess import uncropped

        some = _read(source, self._blank[:_LOOKED_AT])
        if not all(is_blank(uncropped(encoded, config)) for _, encoded in some):
            return (
                f"the crop ({config.crop}) cuts away what they show; "
                "pad them to squares or give another --crop"
            )
        if self._high == self._low:
            return f"every value is {self._low} of 255"
        if self._high - self._low < BLANK:
            scale = "; multiply 12-bit values in 16-bit files by 16 first" * (self._high < BLANK)
            return f"all values lie between {self._low} and {self._high} of 255{scale}"
        return f"their values span fewer than {BLANK} of 256 levels"


def some_of(reasons, count):
    first = list(reasons.items())[:count]
    some = "; ".join(f"{on_one_line(name)}: {reason}" for name, reason in first)
    return some + (", ..." if len(reasons) > count else "")


def check_skipped(config, source, good, skipped):
    bad, some = len(skipped), some_of(skipped, 3)
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
