"""Read untrusted files: regular files only, of bounded size and the expected types.

A named pipe would block a command; /dev/zero, a sparse file or a small zip could fill the memory.
So every file that this process did not write is read here.
"""

import contextlib
import errno
import io
import json
import os
import stat
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, one_line

if TYPE_CHECKING:
    import numpy as np

# Errors of the file itself; others, such as a failing disk, may pass, so they end the command.
_OF_THE_FILE = {
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR),
    *(errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV, errno.EINVAL),
}
_READ = "that are read"
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


class BadFile(ValueError):
    """A file cannot be used; the message is the reason in a few words."""


def open_regular(path: str | os.PathLike) -> io.BufferedReader:
    """Open a regular file for reading bytes; BadFile for a pipe or a device, which stays closed."""
    try:
        kind = os.stat(path).st_mode
    except ValueError as error:  # a null byte in the path
        raise BadFile(reason(error)) from None
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
        raise BadFile(f"{what}, not a regular file")
    # If it has just become a pipe, opening it does not wait for a writer.
    return open(path, "rb", opener=lambda p, flags: os.open(p, flags | _NO_WAIT))


def reason(error: Exception) -> str:
    """The operating system's reason for an error, without the path."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return getattr(error, "strerror", None) or one_line(error)


def check_file(path: Path, flag: str, expected: str):
    """Raise UserError unless this is a regular file, before another library opens it."""
    try:
        open_regular(path).close()
    except (OSError, BadFile) as error:
        where = f"{flag} {limits.shorten(str(path))}".strip()
        raise UserError(f"{reason(error)}; expected {expected}", flag=where) from None


def read_file(path: str | os.PathLike, most: int = limits.FILE_BYTES, limit: str = _READ) -> bytes:
    """Read a regular file of at most `most` bytes; `limit` ends the message about a larger one.

    Raises:
        BadFile: missing, forbidden, of another kind, or larger.
        OSError: a failing disk, or too many open files.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            check_bytes(size, most, limit)
            return file.read(size)  # Python allocates all that is asked for
    except OSError as error:
        raise as_bad_file(error, path) from None


def as_bad_file(error: Exception, path, words: str = "cannot be read") -> Exception:
    """Convert an exception to a BadFile, or to an OSError with the path if the disk fails."""
    code = getattr(error, "errno", None)
    if code is None or code in _OF_THE_FILE:
        return BadFile(f"{words} ({limits.shorten(reason(error), 200)})")
    return OSError(code, reason(error), str(path))


def check_bytes(size: int, most: int, limit: str):
    """Raise BadFile for more than `most` bytes; `limit` ends the message."""
    if size > most:
        raise BadFile(f"{limits.in_words(size)}, more than the {limits.in_words(most)} {limit}")


def json_object(text: str | bytes) -> dict:
    """Parse a JSON object; {} for any other text."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):  # truncated, not UTF-8, huge numbers, deep nesting
        return {}
    return record if isinstance(record, dict) else {}


def read_json(path: Path, most: int = limits.FILE_BYTES) -> dict:
    """Read the JSON object in a file; {} if there is none."""
    try:
        return json_object(read_file(path, most))
    except BadFile:
        return {}


def lines_of(path: Path) -> list[bytes]:
    """Read the lines of a file, [] without one; UserError if it exists but cannot be read."""
    try:
        return read_file(path).splitlines()
    except BadFile as bad:
        if os.path.isfile(path):
            raise UserError(f"{path}: {bad}; move it away") from None
        return []


def read_lines(path: Path) -> list[dict]:
    """Read the JSON objects of a file, one per line; skip other lines."""
    return [record for line in lines_of(path) if (record := json_object(line))]


def is_number(value) -> bool:
    """Whether a JSON value is a finite number, small enough to format, multiply and draw."""
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and -1e100 < value < 1e100  # not NaN


def is_count(value) -> bool:
    """Whether a JSON value is a whole number from 0 that fits into a float64."""
    return type(value) is int and 0 <= value < 2**53


@contextlib.contextmanager
def open_zip(file: str | os.PathLike | BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open a zip, a path or an open file.

    Raises:
        BadFile: not a regular file, or not a complete zip. OSError: unreadable.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(file, str | os.PathLike):
            file = stack.enter_context(open_regular(file))
        outer = sys.exception()
        try:
            archive = stack.enter_context(zipfile.ZipFile(file))
        except (OSError, MemoryError):
            raise
        except Exception as error:  # zipfile raises struct's and its own errors, and others
            disk = error.__context__
            if isinstance(disk, OSError) and disk is not outer:  # zipfile blames the zip
                raise as_bad_file(disk, getattr(file, "name", "the zip")) from None
            raise BadFile(f"not a complete zip file ({reason(error)})") from None
        yield archive


@contextlib.contextmanager
def open_member(archive: zipfile.ZipFile, entry: str | zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Open an entry of a zip; BadFile if missing, encrypted, damaged or of unknown compression."""
    info = entry if isinstance(entry, zipfile.ZipInfo) else archive.NameToInfo.get(entry)
    if info is None:
        raise BadFile(f"holds no {entry}")
    if info.flag_bits & 1:
        raise BadFile("encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        kind = zipfile.compressor_names.get(info.compress_type, f"method {info.compress_type}")
        raise BadFile(f"compressed by {kind}; expected stored or deflated")
    try:
        with archive.open(info) as file:
            yield file
    except (BadFile, MemoryError):
        raise
    except Exception as error:  # zlib's own errors and struct's come through
        raise as_bad_file(error, archive.filename, "damaged in the zip") from None


def read_member(
    archive: zipfile.ZipFile,
    entry: str | zipfile.ZipInfo,
    most: int = limits.FILE_BYTES,
    limit: str = _READ,
) -> bytes:
    """Read an entry of at most `most` bytes; BadFile as open_member, or larger."""
    info = entry if isinstance(entry, zipfile.ZipInfo) else archive.NameToInfo.get(entry)
    check_bytes(info.file_size if info else 0, most, limit)
    with open_member(archive, info or entry) as file:
        return file.read()  # zipfile reads no more than the entry's stated size


def read_array(content: bytes) -> "np.ndarray":
    """View the array in a .npy file; BadFile for a wrong size, or objects."""
    import numpy as np  # --help starts without it

    stream, form = io.BytesIO(content), np.lib.format
    readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    try:
        shape, by_columns, dtype = readers[form.read_magic(stream)](stream)
        values = np.frombuffer(content, dtype, offset=stream.tell())
        return values.reshape(shape, order="F" if by_columns else "C")
    except Exception as error:  # each kind of wrong header raises its own error
        raise BadFile(f"not a complete .npy file ({reason(error)})") from None


def read_npz(path: Path, names: Sequence[str]) -> dict[str, "np.ndarray"]:
    """Read named arrays of an .npz; BadFile if it is not one or lacks an array."""
    with open_zip(io.BytesIO(read_file(path))) as archive:
        return {name: read_array(read_member(archive, f"{name}.npy")) for name in names}
