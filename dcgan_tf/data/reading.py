"""Bytes of files that others made: only regular files, only so many bytes, or a reason why not.

What lies in the file itself, or in its name or permission, makes a BadPicture. What fails beside
it, such as the disk, the memory or the number of open files, is raised as it is: another try may
go well, so nothing must be made without that file.
"""

import contextlib
import errno
import os
import stat
import zipfile

from dcgan_tf.common import limits, zips
from dcgan_tf.common.errors import is_file_system_error

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


_OF_THE_FILE = {  # a broken link, no permission, a socket; anything else is the system's failure
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR),
    *(errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV, errno.EINVAL),
}


class BadPicture(Exception):
    """Why a file cannot be used, in a few words."""


def open_regular(path):
    """A regular file opened for reading, bytes; a pipe or a device there is never opened.

    Raises:
        BadPicture: there is none, it may not be read, or it is of another kind.
        OSError: the disk or the system fails; `filename` is set.
    """
    try:
        _check_kind(os.stat(path))
        file = _open_at_once(path)
    except (OSError, ValueError) as error:
        raise _failure(error, path) from None
    try:
        _check_kind(os.fstat(file.fileno()))
    except BadPicture:
        file.close()
        raise
    return file


def _open_at_once(path):
    """Should the file become a pipe just now, no writer is waited for."""
    no_wait = getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", opener=lambda path, flags: os.open(path, flags | no_wait))


def _failure(error, path, words="cannot be read"):
    """The exception to raise: a BadPicture, or an OSError that names the file."""
    code = getattr(error, "errno", None)
    if code is None or code in _OF_THE_FILE:
        return BadPicture(f"{words} ({reason(error)})")
    return OSError(code, reason(error), str(path))


def _check_kind(status):
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise BadPicture(f"{kind}, no regular file")


def reason(error):
    """str: why the operating system refused, without the path."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def read_file(path, limit):
    """bytes: of a regular file of at most `limit` bytes; BadPicture where it is none."""
    with open_regular(path) as file:
        _check_bytes(os.fstat(file.fileno()).st_size, limit)
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise _failure(error, path) from None
    _check_bytes(len(content), limit)
    return content


def _check_bytes(size, limit):
    if size > limit:
        raise BadPicture(
            f"{limits.in_words(size)}, more than the {limits.in_words(limit)} "
            "of the largest picture that --max-pixels allows"
        )


@contextlib.contextmanager
def open_zip(path):
    """Yields zipfile.ZipFile.

    Raises:
        BadPicture: no regular file. zipfile's own: BadZipFile, NotImplementedError, ValueError.
    """
    with open_regular(path) as file, zips.open_zip(file, limits.DATA_ZIP_INDEX_BYTES) as archive:
        yield archive


@contextlib.contextmanager
def open_member(archive, info):
    """Yields an entry of a zip, open for reading.

    Raises:
        BadPicture: encrypted, damaged, or compressed in a way that cannot be bounded.
    """
    if info.flag_bits & 1:
        raise BadPicture("encrypted")
    if info.compress_type not in _COMPRESSIONS:
        kind = zipfile.compressor_names.get(info.compress_type, f"method {info.compress_type}")
        raise BadPicture(f"compressed by {kind}; expected stored or deflated")
    try:
        file = archive.open(info)
    except Exception as error:  # BadZipFile, NotImplementedError, UnicodeDecodeError, EINVAL, ...
        if isinstance(error, OSError) and is_file_system_error(error):
            raise
        raise BadPicture(f"damaged in the zip ({limits.shorten(reason(error), 200)})") from None
    with file:
        yield file


def read_member(archive, info, limit):
    """bytes: an entry of a zip of at most `limit` bytes.

    Raises:
        BadPicture: as open_member, or larger.
    """
    try:
        with open_member(archive, info) as file:
            _check_bytes(info.file_size, limit)
            content = file.read(limit + 1)
    except (BadPicture, MemoryError):
        raise
    except Exception as error:  # zlib's own errors and struct's come through
        raise _failure(error, archive.filename, "damaged in the zip") from None
    _check_bytes(len(content), limit)
    return content
