"""The making of a pack: every picture that is wanted, decoded, cropped and resized once."""

import contextlib
import hashlib
import os
import shutil
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, describe, is_file_system_error
from dcgan_tf.common.progress import progress
from dcgan_tf.data.pack_files import HEADER, npy_header, write_manifest
from dcgan_tf.data.reading import BadPicture


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
        rows, skipped, sha256 = _write_pixels(folder, config, source, wanted)
        check_skipped(config, source, len(rows), skipped)
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
        write_manifest(folder, manifest)
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
    # Imports TensorFlow, for which nobody should wait whose images are refused.
    from dcgan_tf.data.preprocess import opener, prepared

    look, threads = opener(config), os.cpu_count() or 1

    def outcome(encoded):
        try:
            return look(encoded)
        except BadPicture as bad:
            return bad

    def looked_into(pairs):
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
            yield lambda pairs: prepared(looked_into(pairs), config, 2 * threads)
        finally:
            pool.shutdown(cancel_futures=True)


def some_of(reasons, count):
    some = "; ".join(f"{name}: {reason}" for name, reason in list(reasons.items())[:count])
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
