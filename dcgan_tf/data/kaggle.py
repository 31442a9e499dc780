"""A data set of Kaggle's, fetched with the package kagglehub, which is imported only here."""

import logging
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.errors import UserError, is_file_system_error

log = logging.getLogger(__name__)

FLAG = "--data kaggle"
_LOG_IN = (
    "where it asks for a login or for consent, accept the terms on {page} and put a token of "
    "kaggle.com/settings/api into KAGGLE_API_TOKEN (or once: python -c "
    '"import kagglehub; kagglehub.login()"); or download it there and give --data archive.zip'
)


def fetch(dataset):
    """The folder that kagglehub keeps a data set in, downloaded now if it is not there yet.

    An interrupted download goes on where it stopped. In Kaggle's and Colab's own notebooks
    kagglehub attaches the data set instead.

    Args:
        dataset: a name in DATASETS whose entry has `kaggle`.

    Returns:
        Path: of the folder, as Kaggle's archive unpacked.

    Raises:
        UserError: the package is missing, or the download failed.
        OSError: the disk is full or may not be written to.
    """
    entry = DATASETS[dataset]
    try:
        import kagglehub
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; run: pip install kagglehub", flag=FLAG
        ) from None
    log.info(f"from Kaggle: {entry.kaggle}, for {entry.terms} ({entry.page})")
    try:
        return Path(kagglehub.dataset_download(entry.kaggle))
    except Exception as error:  # kagglehub has no common class for what can fail in a download
        if isinstance(error, OSError) and is_file_system_error(error):
            raise
        why = limits.shorten(" ".join(str(error).split()) or type(error).__name__, 200)
        advice = _LOG_IN.format(page=entry.page)
        raise UserError(
            f"{entry.kaggle} could not be fetched: {why}; {advice}", flag=FLAG
        ) from None
