"""Files that are written whole or not at all, JSON lines, numbered folders."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import filelock

from dcgan_tf.common.errors import UserError


@contextlib.contextmanager
def replacing(path, sync=True):
    """Write a file whole or not at all: yields a temporary path beside it, then moves it there.

    The temporary name keeps the suffix, which Keras and Pillow go by. What a killed process left
    is overwritten by the next one, for the name is always the same.

    Args:
        path: the file to write or replace.
        sync: wait until the disk has it, so that a power cut cannot leave it empty.
    """
    path = Path(path)
    temporary = path.with_name(f".writing-{path.name}")
    try:
        yield temporary
        if sync:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Write a text file whole or not at all, UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_lines(path, records):
    """Write dicts as JSON, one a line, whole or not at all."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def read_lines(path):
    """list[dict]: the JSON objects of a file, one a line; [] where there is no such file.

    Torn and foreign lines, those that hold no JSON object, are dropped.
    """
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError, RecursionError):  # no JSON, no UTF-8, nested too deep
            records.append(json.loads(line))
    return [record for record in records if isinstance(record, dict)]


@contextlib.contextmanager
def editing_lines(path):
    """The records of a JSON-lines file, to be changed in place: written whole when the block ends.

    Two programs that add lines at once wait for each other.
    """
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        records = read_lines(path)
        yield records
        write_lines(path, records)


def make_directory(path, flag):
    """Make a directory and its parents, where they are not there yet.

    Raises:
        UserError: the operating system refuses; `flag` is named.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        why = getattr(error, "strerror", error)
        raise UserError(
            f"{flag} {path}: cannot make this folder ({why}); choose another place"
        ) from None


@contextlib.contextmanager
def whole_folder(path, is_whole):
    """Make a folder whole or not at all.

    Yields a temporary folder beside it, which becomes `path` when the block ends, or None where
    the folder is whole already. Programs that need the same one at once wait for each other.

    Args:
        path: the folder; what is there and not whole is deleted.
        is_whole: function of a path: whether the folder there can be taken as it is.
    """
    with filelock.FileLock(f"{path}.lock"):
        if is_whole(path):
            yield None
            return
        temporary = path.with_name(f".making-{path.name}")
        shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process: we hold the lock
        shutil.rmtree(path, ignore_errors=True)  # damaged, or it would have been taken
        temporary.mkdir()
        try:
            yield temporary
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def mark_used(path):
    """Set a file's times to now: what is kept for later runs shows when it was last of use."""
    with contextlib.suppress(OSError):  # on a read-only disk
        os.utime(path)


def next_directory(parent, name=""):
    """Path: a new directory `0001-name`; mkdir is atomic, so two runs never get the same one."""
    make_directory(parent, "new folder in")
    while True:
        taken = (re.match(r"(\d+)", path.name) for path in parent.iterdir())
        number = 1 + max((int(match[1]) for match in taken if match), default=0)
        root = parent / (f"{number:04d}-{name}" if name else f"{number:04d}")
        with contextlib.suppress(FileExistsError):
            root.mkdir()
            return root


def digest(value):
    """str: SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
