"""Files and folders written whole or not at all, whatever ends the program midway."""

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

import filelock

from dcgan_tf.common import limits


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
        reason = f"{os.strerror(error.errno)} ({limits.in_words(free)} are free there)"
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
        shutil.rmtree(path, ignore_errors=True)  # damaged, or it would have been taken
        with new_folder(path) as temporary:
            yield temporary


@contextlib.contextmanager
def new_folder(path):
    """Make a folder whole or not at all: yields a temporary one beside it, then moves it there.

    What a killed process left is made anew by the next one, for the name is always the same: of
    two programs that make one folder at once the second fails, unless a lock keeps them apart.

    Args:
        path: where nothing is yet, or an empty folder; its parent is there.
    """
    temporary = path.with_name(f".making-{path.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        with contextlib.suppress(FileNotFoundError):  # onto an empty one Windows renames nothing
            path.rmdir()
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
