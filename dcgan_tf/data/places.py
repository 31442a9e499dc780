"""Find the images of a config, in files or by packages that download them; check their number."""

import contextlib
import functools
import importlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dcgan_tf.common import hub
from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS, DOWNLOADS, FETCHED
from dcgan_tf.common.errors import UserError, is_file_system_error, one_line
from dcgan_tf.common.files import digest
from dcgan_tf.common.foreign import reason
from dcgan_tf.common.limits import counted
from dcgan_tf.common.suggestions import typed

log = logging.getLogger(__name__)

DRAWN = "drawn by this program"
FEWEST = 8  # images of a training; of fewer nothing is learned but these
_TRIES = 3  # of a connection; TensorFlow Datasets' 10 take three and a half minutes
_TIMEOUT = (10, 60)  # seconds: until a connection, between two parts of a file


def find(config: Config) -> Path | str:
    """Find what --data names, or the first usual place that exists: `where` of the source.

    A text instead of a path is fetched: "SERVICE:NAME", or an address; or it is "hf:NAME".

    Raises:
        UserError: nothing there; the message gives the ways to mend it.
    """
    name, data = config.dataset, config.data
    if name == "demo":
        if data:
            raise UserError(
                "dataset demo draws its own images; leave this out, or name another data set",
                flag=f"--data {data}",
            )
        return DRAWN
    if data in FETCHED:
        if there := getattr(DATASETS[name], data):
            return f"{data}:{there}"
        known = ", ".join(other for other in DATASETS if getattr(DATASETS[other], data))
        raise UserError(
            f"there is no data set {name!r} there, only {known}; give a folder or a zip "
            f"(a folder of this name is written ./{data})",
            flag=f"--data {data}",
        )
    if data.startswith(hub.PREFIX):
        return data
    return _find_named(data) if data else _find_usual(name)


def _find_named(data: str) -> Path:
    try:
        path = Path(data)  # ./~name is a folder of that name, which pathlib does not tell apart
        path = path.expanduser() if data.startswith("~") else path
        path.stat()
    except RuntimeError as error:  # ~nobody, or no home directory
        raise UserError(f"{error}; write the path without ~", flag=f"--data {data}") from None
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        why = "no such file or folder" if missing else f"cannot be read ({reason(error)})"
        raise UserError(why, flag=f"--data {data}") from None
    return path


def _find_usual(name: str) -> Path | str:
    for pattern in DATASETS[name].places:
        try:
            path = Path(pattern).expanduser()
            download = Path(DOWNLOADS, Path(DATASETS[name].url or "-").name).expanduser()
        except RuntimeError:  # no home directory: nothing can lie there
            continue
        for match in sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))):
            if match == download and match.stat().st_size != DATASETS[name].bytes:
                continue  # it was not finished, and is done again
            if match.is_file() or any(match.iterdir()):
                return match
    if name in ("folder", "auto"):
        raise UserError(f"dataset {name} needs a folder or zip of your images", param="data")
    if name == "celeba":
        raise UserError(
            "no CelebA found in the usual places (docs/data.md); give archive.zip (from "
            f"{DATASETS[name].page}), its unpacked folder, kaggle or tfds (both download it); "
            f"without any data, try: {typed('train')} --config demo",
            param="data",
        )
    return DATASETS[name].url


def is_fetched(config: Config) -> bool:
    """Tell whether the images are downloaded first, or are where an earlier download left them."""
    if config.data not in ("", *FETCHED):  # a path, which may be seen from another directory
        return False
    place = find(config)
    return isinstance(place, str) and place != DRAWN


def check_batch(count: int, flag: str, batch_size: int) -> None:
    """Raise UserError, naming `flag`, where `count` images do not fill a batch."""
    if count < batch_size:
        advice = f"use {count} or fewer" if count > 1 else "a batch needs 2 or more: add images"
        raise UserError(
            f"larger than the data, {counted(count, 'image')}; {advice}",
            flag=f"{flag} {batch_size}",
        )


def fetch_from_kaggle(dataset: str) -> Path:
    """Download a data set with kagglehub, unless it is there, and return its folder.

    Raises:
        UserError: the package is missing, or the download failed.
        OSError: the disk is full or may not be written to.
    """
    entry = DATASETS[dataset]
    try:
        import kagglehub  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        why = f"kagglehub cannot be imported ({error}); run: pip install --upgrade kagglehub"
        raise UserError(why, flag="--data kaggle") from None
    log.info(f"from Kaggle: {entry.kaggle}, for {entry.terms} ({entry.page})")
    try:
        return Path(kagglehub.dataset_download(entry.kaggle))
    except Exception as error:  # kagglehub has no common class for what can fail in a download
        if isinstance(error, OSError) and is_file_system_error(error):
            raise
        raise UserError(
            f"{entry.kaggle} could not be fetched: {one_line(error)}; where it asks for a login or "
            f"for consent, accept the terms on {entry.page} and put a token of "
            "kaggle.com/settings/api into KAGGLE_API_TOKEN; or download it there and give --data "
            "archive.zip",
            flag="--data kaggle",
        ) from None


class Tfds:
    """A data set of TensorFlow Datasets, all splits, a source as sources.py describes it."""

    left_out = {}

    def __init__(self, dataset: str):
        name = DATASETS[dataset].tfds
        self.where = f"tfds:{name}"
        log.info(f"from TensorFlow Datasets: {name}, downloaded if it is not there yet")
        try:
            self._examples, info = _load(name)
        except ModuleNotFoundError:
            raise  # one of ours, not of the download: the caller says what to install
        except (Exception, SystemExit) as error:  # TFDS has no common class for what can fail
            quota = (
                " (CelebA lies on Google Drive, whose daily quota is often used up: try again "
                f"tomorrow, or take {DATASETS[dataset].page} with --data archive.zip)"
            )
            raise UserError(
                f"{name} could not be loaded: {one_line(error)}{quota * (dataset == 'celeba')}",
                flag="--data tfds",
            ) from None
        self.names = [f"{index:06d}" for index in range(len(self._examples))]
        self.fingerprint = digest([info.full_name, len(self.names)])

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Read front to back, as the files of TFDS are: in the order of the data set."""
        wanted = set(indices)
        for position, example in enumerate(self._examples):
            if position in wanted:
                yield position, example["image"].numpy()


def _load(name: str) -> Any:
    """Call tfds.load without the lines and minutes that a failed download has there."""
    import tensorflow_datasets as tfds

    with contextlib.suppress(ImportError, AttributeError):  # internal, as of version 4.9
        downloader = importlib.import_module("tensorflow_datasets.core.download.downloader")
        downloader.MAX_RETRIES = _TRIES
        downloader._open_url = functools.partial(downloader._open_url, timeout=_TIMEOUT)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    for chatty in ("urllib3", "absl"):  # a warning for each try of each file
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        decoders = {"image": tfds.decode.SkipDecoding()}
        return tfds.load(name, split="all", decoders=decoders, shuffle_files=False, with_info=True)
