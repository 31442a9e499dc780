"""Edit JSON lines in place, lock files, make numbered folders."""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import filelock

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import open_regular, read_lines


def lock_for(path: Path) -> Path:
    """The lock file for a file that several programs change."""
    return path.with_name(f".{path.name}.lock")


def lock_at(path: Path) -> filelock.FileLock:
    """Make a lock on `path`, which the operating system frees when its process dies."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{path}: not a plain file, so it cannot be a lock; move it away")
    return filelock.FileLock(path)


@contextlib.contextmanager
def editing_lines(path: Path) -> Iterator[list[dict]]:
    """Yield the records of a JSON-lines file to edit; it stays locked until it is written back."""
    with lock_at(lock_for(path)):
        records = read_lines(path)
        yield records
        write_lines(path, records)


def make_directory(path: Path, flag: str, new: bool = False) -> list[Path]:
    """Make a directory and its missing parents; return the new ones, the outermost first.

    UserError names `flag`. FileExistsError if it must be `new` but exists.
    """
    check_way(path, f"{flag} {path}")
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        path.mkdir(parents=True, exist_ok=not new)
    except OSError as error:
        if new and isinstance(error, FileExistsError):
            raise
        words = f"cannot make this folder ({error.strerror}); choose another place"
        raise UserError(words, flag=f"{flag} {path}") from None
    return missing[::-1]


def check_way(path: Path, flag: str):
    """Raise UserError if a file is in the way of a folder, before minutes of work."""
    for place in (path.absolute(), *path.absolute().parents):
        if os.path.lexists(place) and not place.is_dir():
            raise UserError(f"{place} is not a folder; choose another place", flag=flag)


def from_here(path: Path) -> Path:
    """Make a path relative to the current directory if it is below it, else absolute."""
    place, here = path.resolve(), Path.cwd()
    return place.relative_to(here) if place.is_relative_to(here) else place


def mark_used(path: Path):
    """Set a file's times to now, which tells `dcgan_tf.storage` when it was last used."""
    with contextlib.suppress(OSError):  # on a read-only disk
        os.utime(path)


def next_directory(parent: Path, name: str = "", flag: str = "--out") -> Path:
    """Make a new directory `0001-name`; mkdir is atomic, so two runs never get the same one."""
    make_directory(parent, flag)
    while True:
        taken = (re.match(r"([0-9]{1,9})(?![0-9])", path.name) for path in parent.iterdir())
        number = 1 + max((int(match[1]) for match in taken if match), default=0)
        root = parent / (f"{number:04d}-{name}" if name else f"{number:04d}")
        with contextlib.suppress(FileExistsError):
            make_directory(root, flag, new=True)
            return root


def digest(value) -> str:
    """SHA-256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's content."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def output_folder(out: Path | None, numbered: Path) -> Iterator[Path]:
    """Make `out`, or the next free folder in `numbered`; remove it if it stays empty."""
    if out is None:
        out = next_directory(numbered)
    else:
        make_directory(out, "--out")
    try:
        yield out
    except BaseException:
        for folder in (out / "images", out):
            with contextlib.suppress(OSError):  # it has files, or another program uses it
                folder.rmdir()
        raise
