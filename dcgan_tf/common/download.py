"""Download a file once into a cache and check it."""

import http.client
import logging
import urllib.error
import urllib.request
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.files import file_sha256, lock_at, lock_for, make_directory
from dcgan_tf.common.progress import progress

log = logging.getLogger(__name__)

CACHE = Path("~/.cache/dcgan_tf")


def fetch(url: str, path: Path, sha256: str | None, what: str, size: int, otherwise: str) -> Path:
    """Download a file unless `path` has it already; return the path with `~` expanded.

    The file gets its name once it is complete and checked. If two processes need it, the second
    waits for the first.

    Args:
        sha256: of the content; None if the caller checks the content.
        what: the file in words, such as "the Inception weights".
        size: in bytes.
        otherwise: how to do without the download, as the end of an error.

    Raises:
        UserError: no home folder, no such server, a wrong file, or a redirect to http.
    """
    try:
        path = path.expanduser()
    except RuntimeError:
        raise UserError(f"no home folder to keep {what} in ({path}); {otherwise}") from None
    if is_right(path, sha256, size):
        return path
    make_directory(path.parent, f"cache of {what}")
    with lock_at(lock_for(path)):
        if not is_right(path, sha256, size):
            log.info(f"downloading {limits.in_words(size)} from {url} to {path}")
            _download(url, path, sha256, size, otherwise)
    return path


def is_right(path: Path, sha256: str | None, size: int) -> bool:
    """Whether a file exists with this size and content."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    return sha256 is None or file_sha256(path) == sha256


def _download(url, path, sha256, size, otherwise):
    try:
        with replacing(path) as temporary:
            received = _copy(url, temporary, size, path.name)
            if not is_right(temporary, sha256, size):
                kind = f", with SHA-256 {sha256}" * (sha256 is not None)
                raise OSError(f"got another file: {received:,} bytes came, expected {size:,}{kind}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        raise UserError(
            f"{url}: download failed ({one_line(error)}); check the network and run again, "
            f"or {otherwise}"
        ) from error


def _copy(url, path, size, name):
    """Copy the body of `url` to `path`, stopping soon after `size` bytes; return their count."""
    received = 0
    with (
        urllib.request.urlopen(url, timeout=60) as response,
        path.open("wb") as file,
        progress(size, name, "B") as bar,
    ):
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise OSError(f"redirected to {response.url}, which is not encrypted")
        while received <= size and (part := response.read(1 << 16)):
            file.write(part)
            received += len(part)
            bar.update(len(part))
    return received
