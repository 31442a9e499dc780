"""Files that are written whole or not at all, JSON lines, numbered folders."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path

import filelock

from dcgan_tf.common.errors import UserError


def temporary_for(path: Path) -> Path:
    """Where `replacing` writes: the suffix stays, which Keras and Pillow go by."""
    return path.with_name(f".writing-{path.name}")


@contextlib.contextmanager
def replacing(path, sync=True):
    """Write a file whole or not at all: yields a temporary path beside it, then moves it there.

    What a killed process left is overwritten by the next one, for the name is always the same. It
    is made anew each time, so that nothing is written through a link of that name.

    Args:
        path: the file to write or replace.
        sync: wait until the disk has it, so that a power cut cannot leave it empty.

    Raises:
        OSError: the file cannot be written; `filename` is `path`, and where the disk is full the
            message says how much of it is free.
    """
    path = Path(path)
    if path.is_dir():  # os.replace would say so as well, after all the work
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = temporary_for(path)
    try:
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        if sync:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it would count as space that is not free
            temporary.unlink(missing_ok=True)
        raise _placed(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # a folder of that name, which is not ours
            temporary.unlink(missing_ok=True)


def _placed(error, path):
    """OSError: the same with the name of the file, and with the free space if that was short."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(path.parent).free
        reason = f"{os.strerror(error.errno)} ({free / 1e6:,.0f} MB are free there)"
        return OSError(error.errno, reason, str(path))
    if error.errno is None or error.filename:
        return error
    return OSError(error.errno, error.strerror or str(error), str(path))


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
    lines = path.read_bytes().splitlines()
    return [record for line in lines if (record := read_record(line))]


def read_record(text):
    """dict: a JSON object; {} where `text`, str or bytes, is anything else."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):  # cut off, no UTF-8, numbers or nesting without end
        return {}
    return record if isinstance(record, dict) else {}


def lock_for(path: Path) -> Path:
    """Where the lock of a file lies that several programs change."""
    return path.with_name(f".{path.name}.lock")


def lock_at(path: Path) -> filelock.FileLock:
    """A lock on `path`, which the operating system frees when its process dies, however it dies.

    Raises:
        UserError: a link or a folder of that name, which no lock is written through.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{path}: not a plain file, so it is no lock of ours; move it away")
    return filelock.FileLock(path)


@contextlib.contextmanager
def editing_lines(path):
    """The records of a JSON-lines file, to be changed in place: written whole when the block ends.

    Two programs that add lines at once wait for each other.
    """
    with lock_at(lock_for(path)):
        records = read_lines(path)
        yield records
        write_lines(path, records)


def check_file(path: Path, flag: str, expected: str):
    """Refuse what is no plain file before it is opened: a pipe or a device never ends.

    Args:
        path: the file; flag: what named it; expected: what it should be, in words.

    Raises:
        UserError: not there, no plain file, or not to be read.
    """
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        words = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileNotFoundError):
            words = "no such file"
    else:
        if stat.S_ISREG(kind) and os.access(path, os.R_OK):
            return
        words = "may not be read" if stat.S_ISREG(kind) else "a folder, pipe or device, no file"
    raise UserError(f"{words}; expected {expected}", flag=f"{flag} {path}".strip())


def make_directory(path, flag):
    """Make a directory and its parents, where they are not there yet.

    Returns:
        list[Path]: those that were made, the outermost first.

    Raises:
        UserError: the operating system refuses, or a file is in the way; `flag` is named.
    """
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise UserError(f"{flag} {path}: {_not_made(path, error)}; choose another place") from None
    return missing[::-1]


def _not_made(path, error):
    for place in (path, *path.parents):
        if place.is_symlink() and not place.exists():
            return f"{place} is a link that leads nowhere"
        if place.exists() and not place.is_dir():
            return f"{place} is a file, expected a folder"
    return f"cannot make this folder ({getattr(error, 'strerror', error)})"


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
        taken = (re.match(r"([0-9]{1,9})(?![0-9])", path.name) for path in parent.iterdir())
        number = 1 + max((int(match[1]) for match in taken if match), default=0)
        root = parent / (f"{number:04d}-{name}" if name else f"{number:04d}")
        with contextlib.suppress(FileExistsError):
            root.mkdir()
            return root


def digest(value):
    """str: SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
