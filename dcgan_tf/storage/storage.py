"""List and delete cached packs and features.

Only folders that hold nothing but the files of a pack or of features are touched. A place that is
named may be a link to a folder of them; links in it are never followed.
"""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import filelock

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import delete_unfinished, is_unfinished
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_json

log = logging.getLogger(__name__)

FILES = {
    "pack": {"manifest.json", "pixels.npy", "pixels.u8"},
    "features": {"entry.json", "features.npy", "logits.npy", "statistics.npz"},
}
RECORDS = {"pack": ("manifest.json", "pixels_sha256"), "features": ("entry.json", "recipe")}


@dataclass(frozen=True)
class Entry:
    """One folder that was made for later runs.

    Attributes:
        path: Path; kind: "pack", "features" or "unfinished".
        size: bytes; used: when it was last used, seconds since 1970.
        what: what is in it, in words.
    """

    path: Path
    kind: str
    size: int
    used: float
    what: str


def show(places, unused=0.0, clear=False):
    """Log what there is in folders, and delete it where that is asked for.

    Args:
        places: list of Path: folders of packs or features, or one of them; unused: only what was
            not used for so many days; clear: delete it.

    Raises:
        UserError: a place that is neither.
    """
    latest = time.time() - unused * 86_400
    found = [entry for place in places for entry in entries(place) if entry.used <= latest]
    for entry in sorted(found, key=lambda entry: entry.used):
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used))
        log.info(f"{limits.in_words(entry.size):>12}  {day}  {entry.path}  {entry.what}")
        if clear:
            _delete(entry)
    total = limits.in_words(sum(entry.size for entry in found))
    if clear:
        log.info(f"deleted: {len(found)}, {total}; each is made again when a run needs it")
    else:
        log.info(f"{len(found)} of them, {total}, with the day of their last use")


def entries(place):
    """list[Entry]: in a folder, or the folder itself where it is one.

    Raises:
        UserError: no folder, or one that is not of this kind.
    """
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; expected one of packs or of features")
    own = None if place.is_symlink() else _entry(place)
    if own:
        return [own]
    try:
        inside = sorted(place.iterdir())
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror})") from None
    found = [_entry(path) for path in inside if path.is_dir() and not path.is_symlink()]
    if not any(found) and any(path.suffix != ".lock" for path in inside):
        raise UserError(f"{place}: neither packs nor features in it, so nothing here is touched")
    return [entry for entry in found if entry]


def _entry(path):
    """Entry | None: where anything else is in the folder, None."""
    try:
        files = {file.name: file.stat(follow_symlinks=False) for file in os.scandir(path)}
    except OSError:
        return None
    size = sum(status.st_size for status in files.values())
    used = max((status.st_mtime for status in files.values()), default=path.stat().st_mtime)
    if is_unfinished(path):
        return Entry(path, "unfinished", size, used, "unfinished")
    for kind, (name, key) in RECORDS.items():
        if name in files and files.keys() <= FILES[kind]:
            record = read_json(path / name, limits.MANIFEST_BYTES)
            if key in record:
                return Entry(path, kind, size, used, _words(kind, record))
    return None


def _words(kind, record):
    if kind == "pack":
        return f"pictures {record.get('shape')}, {record.get('where')}"
    recipe = record["recipe"]
    return f"features of {recipe.get('count') if isinstance(recipe, dict) else '?'} pictures"


def _delete(entry):
    """Delete the files of an entry, then its folder, unless a program is making it just now."""
    try:
        if entry.kind == "unfinished":
            return delete_unfinished(entry.path)
        with filelock.FileLock(f"{entry.path}.lock", timeout=0):
            for file in list(os.scandir(entry.path)):
                os.unlink(file.path)
            os.rmdir(entry.path)
    except filelock.Timeout:
        raise UserError(f"{entry.path}: being made by another program; wait for it") from None
