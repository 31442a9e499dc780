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
_PREFIX = ".writing-"  # of temporary files
_HELD = (errno.EACCES, errno.EPERM, errno.EBUSY)  # for files that another program has open
_swept = set()  # folders that this process has swept


@contextlib.contextmanager
def replacing(path: str | os.PathLike, sync: bool = True) -> Iterator[Path]:
    """Write a file whole or not at all: yield a temporary path in its folder, then move it there.

    The last of several writers wins. `sync` flushes to the disk first, so that a power cut cannot
    leave the file empty. An OSError names `path` and, if the disk is full, the free space.
    """
    path = Path(path)
    if path.is_dir():  # os.replace would fail too, but only after all the work
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # The suffix stays, because Keras and Pillow choose the format by it.
    temporary = path.with_name(f"{_PREFIX}{secrets.token_hex(6)}-{path.name}")
    try:
        try:
            with open(temporary, "x+b") as lock:
                _try_lock(lock)
                sweep(path.parent)
                yield temporary
                if sync:
                    with temporary.open("rb+") as file:
                        os.fsync(file.fileno())
                if os.name == "nt":  # Windows does not rename open files
                    lock.close()
                _rename(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _name_file(error, path) from error


def _try_lock(file) -> bool:
    """Lock an open file until it is closed or its process dies; False if that fails."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or the file system has no locks
        return False
    except ModuleNotFoundError:  # Windows needs no lock: an open file cannot be deleted there
        pass
    return True


def sweep(folder: Path):
    """Delete the temporary files of dead processes, once per folder and process."""
    if (place := folder.absolute()) in _swept:
        return
    _swept.add(place)
    for path in folder.glob(f"{_PREFIX}*"):
        if re.match(rf"\{_PREFIX}{_TOKEN}-", path.name) and path.is_file():
            # It may belong to another user or be gone by now.
            with contextlib.suppress(OSError):
                with path.open("rb+") as file:
                    dead = _try_lock(file)
                if dead:
                    path.unlink()


def _rename(temporary: Path, path: Path):
    """Move a file or folder; retry for a second if another program has the target open."""
    for wait in (0.05, 0.1, 0.2, 0.3, 0.5, None):
        try:
            return os.replace(temporary, path)
        except OSError as error:
            if wait is None or error.errno not in _HELD:
                raise OSError(error.errno, error.strerror, str(path)) from error
        time.sleep(wait)


def _name_file(error, path):
    """Name the target in an OSError, not the temporary file; add the free space of a full disk."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = limits.in_words(shutil.disk_usage(path.parent).free)
        reason = f"{os.strerror(error.errno)} ({free} free)"
    elif error.errno is None or not Path(error.filename or _PREFIX).name.startswith(_PREFIX):
        return error
    return OSError(error.errno, reason, str(path))


def write_text(path: str | os.PathLike, text: str):
    """Write a text file whole or not at all, UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_lines(path: str | os.PathLike, records: Iterable[dict]):
    """Write dicts as JSON lines, whole or not at all."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


@contextlib.contextmanager
def whole_folder(path: Path, is_whole: Callable[[Path], bool]) -> Iterator[Path | None]:
    """Make a folder, or replace an incomplete one, one program at a time; yield None if whole."""
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

    A lock next to the temporary folder marks it as ours and its writer as alive. Folders of dead
    writers are deleted first, which frees their disk space. `path` must be missing or empty;
    OSError if another program has put files there meanwhile.
    """
    for left in filter(is_unfinished, path.parent.glob(".making-*")):
        with contextlib.suppress(OSError, filelock.Timeout):  # of another user, or being written
            delete_unfinished(left)
    temporary = path.with_name(f".making-{secrets.token_hex(6)}-{path.name}")
    with filelock.FileLock(lock := _lock_of(temporary)):
        try:
            temporary.mkdir()
            yield temporary
            with contextlib.suppress(OSError):  # Windows cannot rename onto a folder
                path.rmdir()
            _rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            _unlink_lock(lock)


def _lock_of(folder):
    return folder.with_name(f"{folder.name}.lock")


def is_unfinished(folder: Path) -> bool:
    """Whether a folder is a temporary one of `new_folder`, by its name and lock."""
    ours = re.match(rf"\.making-{_TOKEN}-", folder.name)
    return bool(ours) and _lock_of(folder).is_file() and not folder.is_symlink()


def delete_unfinished(folder: Path):
    """Delete a dead program's temporary folder; filelock.Timeout if the program is alive."""
    with filelock.FileLock(lock := _lock_of(folder), timeout=0):
        shutil.rmtree(folder, ignore_errors=True)
        _unlink_lock(lock)


def _unlink_lock(lock: Path):
    with contextlib.suppress(PermissionError):  # Windows: filelock deletes it when it is free
        lock.unlink(missing_ok=True)
