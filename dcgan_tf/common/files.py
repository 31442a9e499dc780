"""Files that are written whole or not at all, JSON lines, numbered folders."""

import contextlib
import hashlib
import json
import os
import re
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
    """list[dict]: the JSON records of a file, [] where there is none; torn lines are dropped."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [record for line in lines if (record := read_record(line))]


def read_record(text):
    """dict: a JSON object; {} where `text` is anything else."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):  # cut off, other bytes, numbers or nesting without end
        return {}
    return record if isinstance(record, dict) else {}


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
    except OSError as error:
        raise UserError(
            f"{flag} {path}: cannot make this folder ({error.strerror}); choose another place"
        ) from None


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
