"""onnxruntime-web, which runs a network inside a page: downloaded once, or from a folder."""

from pathlib import Path

from dcgan_tf.common.download import CACHE, fetch, is_right
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file, read_file

VERSION = "1.30.0"
URL = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist"
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


_OTHERWISE = (
    f"get onnxruntime-web {VERSION} elsewhere (npm pack onnxruntime-web@{VERSION}) and give its "
    "folder dist with --runtime DIR"
)


def runtime(folder: Path | None, cache: Path = CACHE, url: str = URL) -> dict[str, bytes]:
    """Read the files of onnxruntime-web, {name: content}.

    Args:
        folder: where they are, or None for the cache, into which they are downloaded once.

    Raises:
        UserError: one is missing or another one, or the server cannot be reached.
    """
    return {name: _given(folder, name) if folder else _kept(cache, url, name) for name in FILES}


def is_kept(cache: Path = CACHE) -> bool:
    """Whether nothing would have to be downloaded."""
    try:
        folder = _folder(cache).expanduser()
    except RuntimeError:  # no home folder
        return False
    return all(is_right(folder / name, sha256, size) for name, (size, sha256) in FILES.items())


def _folder(cache):
    return cache / f"onnxruntime-web-{VERSION}"


def _given(folder, name):
    path, (size, sha256) = folder / name, FILES[name]
    check_file(path, "--runtime", f"{name} of onnxruntime-web {VERSION}")
    if not is_right(path, sha256, size):
        raise UserError(f"not that of onnxruntime-web {VERSION}", flag=f"--runtime {path}")
    return read_file(path, size)


def _kept(cache, url, name):
    size, sha256 = FILES[name]
    what = f"{name} of onnxruntime-web {VERSION}"
    path = fetch(f"{url}/{name}", _folder(cache) / name, sha256, what, size, _OTHERWISE)
    return read_file(path, size)
