"""Data sets that are downloaded: MNIST's and CIFAR-10's archives, from Kaggle, by TFDS."""

import contextlib
import functools
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dcgan_tf.common import download
from dcgan_tf.common.datasets import DATASETS, DOWNLOADS
from dcgan_tf.common.errors import UserError, is_file_system_error, one_line
from dcgan_tf.common.files import digest

log = logging.getLogger(__name__)

_TRIES = 3  # of a connection; TensorFlow Datasets' 10 take three and a half minutes
_TIMEOUT = (10, 60)  # seconds: until a connection, between two parts of a file


def fetch_archive(dataset: str) -> Path:
    """Download the archive of MNIST or CIFAR-10 that DATASETS names, and check it.

    Raises:
        UserError: no network, or another file than expected.
    """
    entry = DATASETS[dataset]
    path = Path(DOWNLOADS, entry.url.rsplit("/", 1)[1])
    otherwise = "give a folder with its files with --data"
    return download.fetch(entry.url, path, entry.sha256, dataset, entry.bytes, otherwise)


def fetch_from_kaggle(dataset: str) -> Path:
    """Download a data set with kagglehub, unless it is there, and return its folder.

    Args:
        dataset: a name in DATASETS whose entry has `kaggle`.

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


def _load(name) -> Any:
    """Call tfds.load without the lines and minutes that a failed download has there."""
    import tensorflow_datasets as tfds

    with contextlib.suppress(ImportError, AttributeError):  # internal, as of version 4.9
        from tensorflow_datasets.core.download import downloader

        downloader.MAX_RETRIES = _TRIES
        downloader._open_url = functools.partial(downloader._open_url, timeout=_TIMEOUT)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    for chatty in ("urllib3", "absl"):  # a warning for each try of each file
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        decoders = {"image": tfds.decode.SkipDecoding()}
        return tfds.load(name, split="all", decoders=decoders, shuffle_files=False, with_info=True)
