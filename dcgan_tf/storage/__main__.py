"""List and delete cached packs and features: `dcgan storage`.

Only folders that contain nothing but a pack or features are deleted. A place may be a link to a
folder of them; links inside it are never followed.
"""

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import NamedTuple

import filelock

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import delete_unfinished, is_unfinished
from dcgan_tf.common.cli import Parser, number, path, run
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.log import on_one_line, speak

log = logging.getLogger(__name__)

PLACES = ("data/packs", "data/features")
# {kind: its record, a key of the record, other files}
KINDS = {
    "pack": ("manifest.json", "pixels_sha256", {"pixels.npy", "pixels.u8", "labels.npy"}),
    "features": ("entry.json", "recipe", {"features.npy", "logits.npy", "statistics.npz"}),
}


def _parse(argv):
    parser = Parser(
        "storage",
        "List cached images (packs) and features with size and last use; --clear deletes them. "
        "They are computed again when needed.",
        {
            "": f"list {' and '.join(PLACES)}",
            "--unused 30 --clear": "delete what was not used for 30 days",
        },
    )
    add = parser.add_argument
    add("places", type=path, nargs="*", metavar="PLACE", help="folders of packs or features, or "
        f"a single one [{' '.join(PLACES)}]")  # fmt: skip
    add("--unused", type=number(float, 0), default=0.0, metavar="DAYS", help="only entries not "
        "used for this many days")  # fmt: skip
    add("--clear", action="store_true", help="delete what is listed")
    args = parser.parse_args(argv)
    args.places = args.places or [place for place in map(Path, PLACES) if place.is_dir()]
    return args


class Entry(NamedTuple):
    """One cached folder."""

    used: float  # when it was last used, seconds since 1970
    path: Path
    kind: str  # "pack", "features" or "unfinished"
    size: int  # bytes
    what: str  # the content in words


def entries(place: Path) -> list[Entry]:
    """Find packs and features in a folder, or the folder itself if it is one."""
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; expected one of packs or of features")
    if not place.is_symlink() and (own := _entry(place)):
        return [own]
    inside = sorted(place.iterdir())
    found = [_entry(path) for path in inside if path.is_dir() and not path.is_symlink()]
    others = [path for path in inside if path.suffix != ".lock" and path.name[0] != "."]
    if others and not any(found):
        raise UserError(f"{place}: neither packs nor features in it, so nothing here is touched")
    return [entry for entry in found if entry]


def _entry(path):
    """Read one folder as an entry; None where anything else is in it."""
    try:
        files = {file.name: file.lstat() for file in path.iterdir()}
    except OSError:  # of another user, or gone meanwhile
        return None
    size = sum(status.st_size for status in files.values())
    used = max((status.st_mtime for status in files.values()), default=path.stat().st_mtime)
    if is_unfinished(path):
        return Entry(used, path, "unfinished", size, "unfinished")
    for kind, (name, key, others) in KINDS.items():
        if name in files and files.keys() <= {name, *others}:
            record = read_json(path / name, limits.MANIFEST_BYTES)
            if key in record:
                words = f"images {record.get('shape')}, {record.get('where')}"
                if kind == "features":
                    count = record[key].get("count") if isinstance(record[key], dict) else "?"
                    words = f"features of {count} images"
                return Entry(used, path, kind, size, words)
    return None


def _delete(entry):
    """Delete the files of an entry, then its folder, unless a program is making it now."""
    try:
        if entry.kind == "unfinished":
            return delete_unfinished(entry.path)
        with filelock.FileLock(f"{entry.path}.lock", timeout=0) as lock:
            record = KINDS[entry.kind][0]  # the last, so that what is left is still an entry
            for file in sorted(entry.path.iterdir(), key=lambda file: file.name == record):
                file.unlink()
            entry.path.rmdir()
            with contextlib.suppress(PermissionError):  # Windows deletes it when it is free
                os.unlink(lock.lock_file)
    except filelock.Timeout:
        raise UserError(f"{entry.path}: another program is making it; wait for it") from None


def main(argv=None):
    """List the entries, and delete them with --clear."""
    args = _parse(argv)
    speak()
    latest = time.time() - args.unused * 86_400
    found = [entry for place in args.places for entry in entries(place) if entry.used <= latest]
    for entry in sorted(found):
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used))
        size = limits.in_words(entry.size)
        log.info(on_one_line(f"{size:>12}  {day}  {entry.path}  {entry.what}"))
        if args.clear:
            _delete(entry)
    total = limits.in_words(sum(entry.size for entry in found))
    count = limits.counted(len(found), "folder")
    if args.clear:
        log.info(f"deleted {count}, {total}; they are computed again when needed")
    else:
        log.info(f"{count}, {total}, with the day of their last use")


if __name__ == "__main__":
    run(main)
