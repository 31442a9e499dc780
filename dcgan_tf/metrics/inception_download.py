"""Download inception-2015-12-05.tgz, TensorFlow's archive of the network, once."""

import http.client
import logging
import urllib.error
import urllib.request
from pathlib import Path

import filelock

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.progress import progress

log = logging.getLogger(__name__)

ARCHIVE_URL = "https://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
ARCHIVE_BYTES = 88_931_400
ARCHIVE_NAME = "inception-2015-12-05.tgz"
DEFAULT_CACHE = Path("~/.cache/dcgan_tf")


def download_archive(
    cache_dir: Path | str = DEFAULT_CACHE,
    url: str = ARCHIVE_URL,
    expected_bytes: int = ARCHIVE_BYTES,
) -> Path:
    """inception-2015-12-05.tgz in the cache, downloaded first if it is not there.

    The file appears under its name only when it is complete; what was broken off starts anew, and
    of two processes that need it the second waits for the first.

    Raises:
        UserError: the server cannot be reached, sends another number of bytes or by a connection
            that is not encrypted; it names --inception as the way out.
    """
    cache_dir = _at_home(cache_dir)
    target = cache_dir / ARCHIVE_NAME
    if _is_complete(target, expected_bytes):
        return target
    make_directory(cache_dir, "cache of the Inception weights")
    with filelock.FileLock(cache_dir / f".{ARCHIVE_NAME}.lock"):
        if _is_complete(target, expected_bytes):
            return target
        log.info(f"downloading {url} to {target}")
        try:
            with replacing(target) as temporary:
                _fetch(url, temporary, expected_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            raise UserError(
                f"{url}: download failed ({one_line(error)}); check the network and run again, "
                f"or get {ARCHIVE_NAME} elsewhere and give it with --inception PATH"
            ) from error
    return target


def _at_home(folder):
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise UserError(
            f"no home folder to keep the Inception weights in ({folder}); "
            f"get {ARCHIVE_NAME} elsewhere and give it with --inception PATH"
        ) from None


def _is_complete(path, expected_bytes):
    return path.is_file() and path.stat().st_size == expected_bytes


def _fetch(url, path, expected_bytes):
    """Copy the body of `url` to `path`; OSError unless it has the expected number of bytes."""
    received = 0
    with (
        urllib.request.urlopen(url, timeout=60) as response,
        path.open("wb") as file,
        progress(expected_bytes, "inception-2015-12-05", "B") as bar,
    ):
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise OSError(f"sent on to {response.url}, which is not encrypted")
        while received <= expected_bytes and (part := response.read(1 << 16)):
            file.write(part)
            received += len(part)
            bar.update(len(part))
    if received != expected_bytes:
        raise OSError(f"{received:,} bytes came, expected {expected_bytes:,}")
