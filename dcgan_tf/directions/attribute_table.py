"""Read a table of binary attributes, such as CelebA's, and join it to images."""

import contextlib
import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from dcgan_tf.common.directions import NAME_CHARACTERS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, open_zip, read_file, read_member

MOST_BYTES = 2**27  # of a table; CelebA's has 27 MB
MOST_ATTRIBUTES = 256
_YES, _NO = {"1", "+1", "true", "True"}, {"-1", "0", "false", "False"}
_EXPECTED = (
    "expected a line of attributes' names, then a line a picture: its file name, and 1 or -1 (0) "
    "for each; as .txt with blanks, as .csv, or a zip of one of them"
)


def read_attributes(
    path: Path, pictures: Sequence[Sequence[str]]
) -> tuple[list[str], list[np.ndarray]]:
    """The rows of a table that belong to pictures.

    Args:
        path: CelebA's `list_attr_celeba.txt`, Kaggle's `.csv` of it, a table like them, or a zip
            of one; pictures: sets of pictures, each the names of its files in order. Folders
            before a name do not count.

    Returns:
        The attributes' names, and for each set int8 (pictures, attributes): 1, 0, or -1 for a
        picture that the table does not have.

    Raises:
        UserError: no such file, no such table, or none of the pictures of a set in it.
    """
    with _opened(path) as (names, lines):
        wanted = {_base(name) for each in pictures for name in each}
        rows = {
            _base(key): _row(values, names, key) for key, values in lines if _base(key) in wanted
        }
    missing = np.full(len(names), -1, np.int8)
    found = [np.array([rows.get(_base(name), missing) for name in each]) for each in pictures]
    for each, labels in zip(pictures, found, strict=True):
        if not len(labels) or (labels < 0).all():
            example = f", such as {each[0]}" if len(each) else ""
            raise UserError(
                f"has none of the {len(each):,} pictures{example}; give the table of these "
                "pictures, whose first column are their file names",
                flag=f"--attributes {path}",
            )
    return names, found


def check_table(path: Path):
    """Refuse, by its first lines, a file that is no table of attributes.

    Raises:
        UserError: no such file, or no such table.
    """
    with _opened(path) as (names, lines):
        first = next(lines, None)
        if first is None:
            raise BadFile("no table")
        _row(first[1], names, first[0])


@contextlib.contextmanager
def _opened(path):
    """What `_header` gives of a file; whatever shows that it is no table becomes one refusal."""
    try:
        yield _header(_text(path).decode("utf-8-sig"))
    except (UnicodeDecodeError, BadFile, csv.Error) as error:
        words = str(error) if isinstance(error, BadFile) else "not a text, or a damaged file"
        raise UserError(f"{words}; {_EXPECTED}", flag=f"--attributes {path}") from None


def _base(name):
    return PurePosixPath(name).name


def _text(path):
    """bytes: of the file, or of the one table in a zip."""
    content = read_file(path, MOST_BYTES)
    if not content.startswith(b"PK"):
        return content
    with open_zip(io.BytesIO(content)) as archive:
        tables = [info for info in archive.infolist() if info.filename.endswith((".txt", ".csv"))]
        if len(tables) != 1:
            raise BadFile(f"a zip with {len(tables)} tables")
        return read_member(archive, tables[0], MOST_BYTES)


def _header(text):
    """The attributes' names, and an iterator of (file name, values)."""
    lines = text.splitlines()
    if lines and lines[0].strip().isdigit():  # CelebA's first line is the number of pictures
        lines = lines[1:]
    if len(lines) < 2:
        raise BadFile("no table")
    if "," in lines[0]:
        table = csv.reader(io.StringIO("\n".join(lines)))
        names = next(table)[1:]
    else:
        table = (line.split() for line in lines)
        names = next(table)
        if len(lines[1].split()) == len(names):  # the first name is that of the first column
            names = names[1:]
    if not 0 < len(names) <= MOST_ATTRIBUTES or len(set(names)) < len(names):
        raise BadFile(f"{len(names)} attributes, or a name that comes twice")
    if not all(n.strip() and n.isprintable() and len(n) <= NAME_CHARACTERS for n in names):
        raise BadFile("a name of an attribute that is empty, too long or not printable")
    return names, ((row[0], row[1:]) for row in table if row)


def _row(values, names, key):
    """int8 (attributes,)."""
    if len(values) != len(names) or not set(values) <= _YES | _NO:
        raise BadFile(f"the line of {key[:80]!r} has not one of 1, -1 and 0 for each attribute")
    return np.array([value in _YES for value in values], np.int8)
