"""Images in data sets that `datasets`, the library of Hugging Face, downloads or finds in a folder.

Rows are read one by one from files that the library maps into memory; it decodes no image.
"""

import functools
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from dcgan_tf.common import hub, limits
from dcgan_tf.common.errors import UserError, is_file_system_error
from dcgan_tf.common.files import digest
from dcgan_tf.common.foreign import BadFile, check_bytes, read_file
from dcgan_tf.data.forms import LARGEST

log = logging.getLogger(__name__)

OLDEST = 4  # major version of the library; older ones run code that a data set brings
_REPOSITORY = r"(\w[\w.-]*(?:/\w[\w.-]*)?)(?:/(.+))?"  # and a configuration
_LABELS = ("label", "labels")  # names of columns with classes that need not be a ClassLabel
_SHOWN = 20  # columns in a message
_EXPECTED = (
    "expected hf:NAME[:SPLIT[:COLUMN]]: a data set of huggingface.co (NAME, USER/NAME or "
    "USER/NAME/CONFIGURATION), or a folder"
)


class HubImages:
    """The images in a column of a data set, a source as sources.py describes it.

    Args:
        where: `hf:NAME[:SPLIT[:COLUMN]]`; the split is `train` and the column the only one with
            images where they are left out.
        limit: largest image to read, in bytes.

    Raises:
        UserError: the library is missing, no connection, or no such data set, split or column.
    """

    left_out = {}

    def __init__(self, where: str, limit: int):
        self.where, self._limit, self._flag = where, limit, f"--data {where}"
        name, split, column = hub.split_data(where)
        self._library = _import_library(self._flag)
        self._rows = _load(self._library, name, split, self._flag)
        self._column = self._choose_column(column, f"hf:{name}:{split or 'train'}")
        self.names = [f"{index:06d}" for index in range(len(self._rows))]
        known = [self._rows._fingerprint, self._column, len(self.names)]
        self.fingerprint = digest(known + (_stats(self._rows) if _is_saved(name) else []))

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, bytes | BadFile]]:
        rows = self._rows.select_columns([self._column]).with_format("arrow")
        for index in indices:
            try:
                yield index, self._encoded(rows[index][self._column][0].as_py())
            except BadFile as bad:
                yield index, bad

    def _encoded(self, value: Any) -> bytes:
        about = value if isinstance(value, dict) else {"bytes": value}
        if (content := about.get("bytes")) is not None:
            check_bytes(len(content), self._limit, LARGEST)
            return content
        if path := about.get("path"):  # a folder of images stays where it is
            return read_file(path, self._limit, LARGEST)
        raise BadFile("no image in this row")

    def labels(self) -> tuple[list[str], list[int]]:
        """Read the names of the classes, and the number of each row's class.

        Raises:
            UserError: no column with classes, several, or a row without a class.
        """
        features, kind = self._rows.features, self._library.ClassLabel
        columns = [name for name, feature in features.items() if isinstance(feature, kind)]
        if len(columns) != 1:
            columns = [name for name in _LABELS if name in features]
        if len(columns) != 1:
            words = f"needs one column of type ClassLabel, or called label; {self._list_columns()}"
            raise UserError(words, flag=self._flag)
        (column,) = columns
        values = self._rows.select_columns(columns).with_format("arrow")[:][column].to_pylist()
        names = getattr(features[column], "names", [])
        for row, value in enumerate(values):
            if not isinstance(value, int | str) or (names and value not in range(len(names))):
                words = f"row {row:,} has no class in column {column} ({limits.shown(value)}); "
                raise UserError(f"{words}give a split whose rows all have one", flag=self._flag)
        if names:
            return names, values
        order = {value: number for number, value in enumerate(sorted(set(values)))}
        return [*map(str, order)], [order[value] for value in values]

    def _choose_column(self, named: str, where: str) -> str:
        """Return the column with the images: `named`, or the only one of type Image."""
        features = self._rows.features
        images = [n for n, feature in features.items() if isinstance(feature, self._library.Image)]
        # Tables that another program wrote have the bytes without the library's type.
        encoded = [
            name
            for name, feature in features.items()
            if _is_binary(feature.get("bytes") if isinstance(feature, dict) else feature)
        ]
        if named:
            if named in images + encoded:
                return named
            what = "no images in column" if named in features else "no column"
            words = f"{what} {limits.shown(named)}; {self._list_columns()}"
            raise UserError(words, flag=self._flag)
        columns = images or encoded
        if len(columns) == 1:
            return columns[0]
        what = "no column has images"
        if columns:
            what = f"images in {len(columns)} columns: name one, such as {where}:{columns[0]}"
        raise UserError(f"{what}; {self._list_columns()}", flag=self._flag)

    def _list_columns(self) -> str:
        features = [*self._rows.features.items()]
        some = [f"{name} ({_kind(feature)})" for name, feature in features[:_SHOWN]]
        return f"the columns are {', '.join(some)}" + ", ..." * (len(features) > _SHOWN)


def _is_binary(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("binary", "large_binary")


def _kind(feature: Any) -> str:
    kind = type(feature).__name__
    return feature.dtype if kind == "Value" else kind


def _import_library(flag: str) -> Any:
    try:
        library = import_module("datasets")
        version = library.__version__  # a folder of this name can be imported, too
        if int(version.split(".")[0]) < OLDEST:
            raise ImportError(f"version {version}, expected {OLDEST} or newer")
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"needs the library datasets ({error}); run in the project's folder: "
            'pip install ".[datasets]"',
            flag=flag,
        ) from None
    for name in ("datasets", "huggingface_hub"):  # lines for each try, and before an exception
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if not sys.stderr.isatty():
        library.disable_progress_bars()
    return library


def _is_saved(name: str) -> bool:
    """Tell a folder that `save_to_disk` wrote."""
    marks = ("state.json", "dataset_dict.json")
    return any(Path(name).expanduser().joinpath(mark).is_file() for mark in marks)


def _stats(rows: Any) -> list[tuple[str, int, int]]:
    """List the files of a data set; its own fingerprint may be that of the code that made it."""
    paths = [Path(file["filename"]) for file in rows.cache_files]
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def _load(library: Any, name: str, split: str, flag: str) -> Any:
    try:
        folder = Path(name).expanduser()
        if _is_saved(name):
            return _choose_split(library.load_from_disk(str(folder)), split, flag)
        return _load_files(library, folder, name, split or "train", flag)
    except UserError:
        raise
    except Exception as error:  # its own errors, and those of Arrow and of its HTTP client
        why: Any = error
        if isinstance(error, library.exceptions.DatasetGenerationError):
            why = error.__cause__ or error
        network = isinstance(why, ConnectionError | TimeoutError)
        if isinstance(why, OSError) and is_file_system_error(why) and not network:
            raise why from None
        text = limits.shorten(" ".join(str(why).split()) or type(why).__name__, 300)
        raise UserError(f"{text}{_advise(library, why, text)}", flag=flag) from None


def _advise(library: Any, error: Exception, text: str) -> str:
    if isinstance(error, ConnectionError):
        return ", and there is no copy in the library's cache; check the network and run again"
    foreign = isinstance(error, library.exceptions.DatasetNotFoundError)
    if foreign or hub.status_of(error) in (401, 403):
        return "; for a private or gated data set run: hf auth login, or set HF_TOKEN"
    if "config" in text.lower():  # the data set has several, or none of this name
        return "; name one: hf:USER/NAME/CONFIGURATION"
    return ""


def _choose_split(saved: Any, split: str, flag: str) -> Any:
    """Choose from what `save_to_disk` wrote: a data set, or one for each split."""
    if isinstance(saved, dict):
        if (name := split or "train") in saved:
            return saved[name]
        words = f"no split {limits.shown(name)}; there are {', '.join(map(str, saved))}"
    else:
        if split in ("", str(saved.split or "train")):
            return saved
        words = f"no split {limits.shown(split)}: it was saved without others; leave the split out"
    raise UserError(words, flag=flag)


def _load_files(library: Any, folder: Path, name: str, split: str, flag: str) -> Any:
    """Load a folder of files that the library knows, or a data set of the hub."""
    if name and folder.is_dir():
        return library.load_dataset(str(folder), split=split)
    match = re.fullmatch(_REPOSITORY, name, re.ASCII)
    if not match or folder.is_file():
        kind = "a file" if folder.is_file() else "no such folder"
        raise UserError(f"{limits.shown(name)} is {kind}; {_EXPECTED}", flag=flag)
    return _download(library, *match.groups(), split)


@functools.lru_cache(1)  # the data set is recognized, then opened; each takes many requests
def _download(library: Any, name: str, configuration: str | None, split: str) -> Any:
    log.info(f"from the Hugging Face hub: {name}, downloaded if it is not there yet")
    builder = library.load_dataset_builder(name, configuration)
    if type(builder).__name__ == "Cache":
        log.warning(f"{name}: the hub does not give it; the newest copy in the cache is used")
    builder.download_and_prepare()
    return builder.as_dataset(split=split)
