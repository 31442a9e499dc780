"""Write files and folders whole or not at all."""

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import filelock

from dcgan_tf.common import limits

_TOKEN = "[0-9a-f]{12}"
_OWN = ".writing-"  # how the names of temporary files begin
_HELD = (errno.EACCES, errno.EPERM, errno.EBUSY)  # of a file that a viewer or a scanner has open
_swept = set()  # the folders that this process has swept


@contextlib.contextmanager
def replacing(path: str | os.PathLike, sync: bool = True) -> Iterator[Path]:
    """Write a file whole or not at all: yield a temporary path in its folder, then move it there.

    Of several writers the last one wins. With `sync`, wait until the disk has it, so that a power
    cut cannot leave it empty. An OSError names `path` and, of a full disk, the free space.
    """
    path = Path(path)
    if path.is_dir():  # os.replace would say so too, but after all the work
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # The suffix stays: Keras and Pillow go by it.
    temporary = path.with_name(f"{_OWN}{secrets.token_hex(6)}-{path.name}")
    try:
        try:
            with open(temporary, "x+b") as lock:
                _try_lock(lock)
                sweep(path.parent)
                yield temporary
                if sync:
                    with temporary.open("rb+") as file:
                        os.fsync(file.fileno())
                if os.name == "nt":  # an open file is not renamed there
                    lock.close()
                _rename(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _name_file(error, path) from error


def _try_lock(file) -> bool:
    """Lock an open file until it is closed or its process dies; False where that fails."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or the file system has no locks
        return False
    except ModuleNotFoundError:  # Windows needs no lock: an open file cannot be deleted there
        pass
    return True


def sweep(folder: Path):
    """Delete the temporary files of dead writers, once in a process."""
    if (place := folder.absolute()) in _swept:
        return
    _swept.add(place)
    for path in folder.glob(f"{_OWN}*"):
        if re.match(rf"\{_OWN}{_TOKEN}-", path.name) and path.is_file():
            # It may belong to another user, or another process deletes it.
            with contextlib.suppress(OSError):
                with path.open("rb+") as file:
                    dead = _try_lock(file)
                if dead:
                    path.unlink()


def _rename(temporary: Path, path: Path):
    """Move a file or folder; try for a second where another program holds what is there."""
    for wait in (0.05, 0.1, 0.2, 0.3, 0.5, None):
        try:
            return os.replace(temporary, path)
        except OSError as error:
            if wait is None or error.errno not in _HELD:
                raise OSError(error.errno, error.strerror, str(path)) from error
        time.sleep(wait)


def _name_file(error, path):
    """Name the file in an OSError, not the temporary one, and the free space if that was short."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = limits.in_words(shutil.disk_usage(path.parent).free)
        reason = f"{os.strerror(error.errno)} ({free} are free there)"
    elif error.errno is None or not Path(error.filename or _OWN).name.startswith(_OWN):
        return error
    return OSError(error.errno, reason, str(path))


def write_text(path: str | os.PathLike, text: str):
    """Write a text file whole or not at all, UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_lines(path: str | os.PathLike, records: Iterable[dict]):
    """Write dicts as JSON, one a line, whole or not at all."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


@contextlib.contextmanager
def whole_folder(path: Path, is_whole: Callable[[Path], bool]) -> Iterator[Path | None]:
    """Make a folder as `new_folder`, one program at a time; delete what is there and not whole.

    Yields None where the folder is whole already.
    """
    with filelock.FileLock(f"{path}.lock"):
        if is_whole(path):
            yield None
            return
        shutil.rmtree(path, ignore_errors=True)
        with new_folder(path) as temporary:
            yield temporary


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder whole or not at all: yield a temporary one next to it, then move it there.

    A lock next to the temporary folder says that it is ours and that its writer lives. What dead
    writers left is deleted first, so that its room on the disk is free. At `path` is nothing yet,
    or an empty folder; an OSError says that another program has put files there meanwhile.
    """
    for left in filter(is_unfinished, path.parent.glob(".making-*")):
        with contextlib.suppress(OSError, filelock.Timeout):  # of another user, or it lives
            delete_unfinished(left)
    temporary = path.with_name(f".making-{secrets.token_hex(6)}-{path.name}")
    with filelock.FileLock(lock := _lock_of(temporary)):
        try:
            temporary.mkdir()
            yield temporary
            with contextlib.suppress(OSError):  # onto an empty one Windows renames nothing
                path.rmdir()
            _rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _lock_of(folder):
    return folder.with_name(f"{folder.name}.lock")


def is_unfinished(folder: Path) -> bool:
    """Whether `new_folder` was making a folder: its name and its lock say so."""
    ours = re.match(rf"\.making-{_TOKEN}-", folder.name)
    return bool(ours) and _lock_of(folder).is_file() and not folder.is_symlink()


def delete_unfinished(folder: Path):
    """Delete a folder that a dead program was making; filelock.Timeout where it lives."""
    with filelock.FileLock(lock := _lock_of(folder), timeout=0):
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
