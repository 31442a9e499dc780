"""Read a table of binary attributes of images, such as CelebA's."""

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath

import numpy as np

from dcgan_tf.common.directions import NAME_CHARACTERS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, open_zip, read_file, read_member
from dcgan_tf.data.forms import hidden_by

MOST_BYTES = 2**27  # of a table; CelebA's has 27 MB
MOST_ATTRIBUTES = 256
_YES, _NO = {"1", "+1", "true", "True"}, {"-1", "0", "false", "False"}
_EXPECTED = (
    "expected a line of attribute names, then a line per image: its file name, and 1 or -1 (or 0) "
    "for each attribute; as .txt with blanks, as .csv, or a zip of one of them"
)


def base_of(name: str) -> str:
    """The file name of an image without its folders, of which some zips have backslashes."""
    return unicodedata.normalize("NFC", PureWindowsPath(name).name)  # a Mac may have NFD


def read_attributes(
    table: Path | bytes, images: Sequence[Sequence[str]] = (), flag: str = ""
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read the rows of a table that belong to sets of images, given by their names.

    A table is the path or the content of CelebA's `list_attr_celeba.txt`, Kaggle's `.csv` of it, a
    similar file, or a zip of one. Folders before a name are ignored. `flag` begins the error.

    Returns:
        The attribute names, and {file name of an image: int8 (attributes,), 1 or 0}.

    Raises:
        UserError: no such table, it has none of a set's images, or a name occurs twice.
    """
    flag, rows = flag or f"--attributes {table}", {}
    sets = [Counter(map(base_of, each)) for each in images]
    wanted = set().union(*sets)
    try:
        content = table if isinstance(table, bytes) else _read_text(table)
        names, lines = _parse_header(content.decode("utf-8-sig"))
        for index, (key, values) in enumerate(lines):
            base = base_of(key)
            if base in wanted:
                row = _parse_row(values, names, key)
                if not np.array_equal(rows.setdefault(base, row), row):
                    raise BadFile(f"two lines of {base[:80]!r} differ")
            elif not index:  # checks that this is a table
                _parse_row(values, names, key)
    except (UnicodeDecodeError, BadFile, csv.Error) as error:
        words = str(error) if isinstance(error, BadFile) else "not a text, or a damaged file"
        raise UserError(f"{words}; {_EXPECTED}", flag=flag) from None
    for each, bases in zip(images, sets, strict=True):
        if twice := [base for base, count in bases.items() if count > 1 and base in rows]:
            raise UserError(f"two images are called {twice[0]}; give names that differ", flag=flag)
        if rows.keys().isdisjoint(bases):
            words = f"has none of the {len(each):,} images, such as {each[0]}; give the table of "
            raise UserError(f"{words}these, with file names in its first column", flag=flag)
    return names, rows


def _read_text(path: Path) -> bytes:
    content = read_file(path, MOST_BYTES)
    if not content.startswith(b"PK"):
        return content
    with open_zip(io.BytesIO(content)) as archive:
        members = [info for info in archive.infolist() if not hidden_by(info.filename)]
        tables = [i for i in members if i.filename.lower().endswith((".txt", ".csv"))]
        if len(tables) != 1:
            raise BadFile(f"a zip with {len(tables)} tables")
        return read_member(archive, tables[0], MOST_BYTES)


def _parse_header(text: str) -> tuple[list[str], Iterator[tuple[str, list[str]]]]:
    """The attributes' names, and an iterator of (file name, values)."""
    lines = text.splitlines()
    if lines and lines[0].strip().isdigit():  # CelebA's first line is the number of images
        lines = lines[1:]
    if len(lines) < 2:
        raise BadFile("no table")
    table = csv.reader(lines) if "," in lines[0] else (line.split() for line in lines)
    names = next(table)
    if "," in lines[0] or len(lines[1].split()) == len(names):  # the first column has a name too
        names = names[1:]
    if not 0 < len(set(names)) == len(names) <= MOST_ATTRIBUTES:
        raise BadFile(f"{len(names)} attributes, or a name occurs twice")
    if not all(n.strip() and n.isprintable() and len(n) <= NAME_CHARACTERS for n in names):
        raise BadFile("the name of an attribute is empty, too long or not printable")
    return names, ((row[0], row[1:]) for row in table if row)


def _parse_row(values: list[str], names: list[str], key: str) -> np.ndarray:
    if len(values) != len(names) or not set(values) <= _YES | _NO:
        raise BadFile(f"the line of {key[:80]!r} needs 1, -1 or 0 for each attribute")
    return np.array([value in _YES for value in values], np.int8)
