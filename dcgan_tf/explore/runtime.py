"""onnxruntime-web, which runs a network inside a page: downloaded once, or from a folder."""

import hashlib
import http.client
import logging
import urllib.error
import urllib.request
from pathlib import Path

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.foreign import BadFile, check_file, read_file

log = logging.getLogger(__name__)

VERSION = "1.30.0"
URL = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist"
CACHE = Path("~/.cache/dcgan_tf")
# The runtime for processors alone, of those that the package has: bytes and SHA-256.
FILES = {
    "ort.wasm.min.js": (
        50_196,
        "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    ),
    "ort-wasm-simd-threaded.mjs": (
        24_381,
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    ),
    "ort-wasm-simd-threaded.wasm": (
        14_239_897,
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
}


def runtime(folder: Path | None, cache: Path = CACHE, url: str = URL) -> dict[str, bytes]:
    """The files of onnxruntime-web by their names, each known by its SHA-256.

    Args:
        folder: where they lie, or None for the cache, into which they are fetched if need be.

    Raises:
        UserError: one is missing or another one, or the server cannot be reached.
    """
    if folder is not None:
        return {name: _given(folder / name, name) for name in FILES}
    place = _place(cache)
    make_directory(place, "cache of the runtime")
    return {name: _kept(place / name, url) for name in FILES}


def is_kept(cache: Path = CACHE) -> bool:
    """Whether nothing would have to be fetched."""
    try:
        return all(_read(_place(cache) / name) is not None for name in FILES)
    except (UserError, OSError):
        return False


def _place(cache):
    try:
        return cache.expanduser() / f"onnxruntime-web-{VERSION}"
    except RuntimeError:
        raise UserError(f"no home folder to keep the runtime in ({cache}); {_OTHERWISE}") from None


_OTHERWISE = (
    f"or get onnxruntime-web {VERSION} elsewhere (npm pack onnxruntime-web@{VERSION}) and give its "
    "folder dist with --runtime DIR"
)


def _given(path, name):
    check_file(path, "--runtime", f"{name} of onnxruntime-web {VERSION}")
    content = _read(path)
    if content is None:
        raise UserError(f"not that of onnxruntime-web {VERSION}", flag=f"--runtime {path}")
    return content


def _read(path):
    """bytes | None: the content of a file of this name, if it is the right one."""
    try:
        content = read_file(path, FILES[path.name][0])
    except BadFile:
        return None
    return content if _is_right(content, path.name) else None


def _is_right(content, name):
    return (len(content), hashlib.sha256(content).hexdigest()) == FILES[name]


def _kept(path, url):
    content = _read(path)
    if content is not None:
        return content
    address = f"{url}/{path.name}"
    log.info(f"downloading {address} to {path}")
    try:
        content = _fetch(address, FILES[path.name][0])
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        raise UserError(
            f"{address}: download failed ({one_line(error)}); check the network and run again, "
            + _OTHERWISE
        ) from error
    if not _is_right(content, path.name):
        raise UserError(f"{address}: sent another file than {path.name} {VERSION}; {_OTHERWISE}")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return content


def _fetch(address, size):
    with urllib.request.urlopen(address, timeout=60) as response:
        return response.read(size + 1)  # one byte more tells a longer file
