"""onnxruntime-web, which runs a network inside a page: downloaded once, or from a folder."""

import os
from pathlib import Path

from dcgan_tf.common.download import CACHE, fetch, is_right
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file, read_file

VERSION = "1.30.0"
_WHAT = f"onnxruntime-web {VERSION}"
_OTHERWISE = (
    f"get {_WHAT} elsewhere (npm pack onnxruntime-web@{VERSION}) and give its folder dist with "
    "--runtime DIR"
)
URL = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist"
KEPT = CACHE / f"onnxruntime-web-{VERSION}"
# The package's runtime for CPUs: bytes and SHA-256.
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


def runtime(folder: Path | None) -> dict[str, bytes]:
    """Read the files of onnxruntime-web, {name: content}; without a folder, download them once.

    Raises:
        UserError: a file is missing or differs, or the server cannot be reached.
    """
    found = {}
    for name, (size, sha256) in FILES.items():
        what = f"{name} of {_WHAT}"
        if folder is None:
            path = fetch(f"{URL}/{name}", KEPT / name, sha256, what, size, _OTHERWISE)
        else:
            path = folder / name
            check_file(path, "--runtime", what)
            if not is_right(path, sha256, size):
                raise UserError(f"not that of {_WHAT}", flag=f"--runtime {path}")
        found[name] = read_file(path, size)
    return found


def is_kept() -> bool:
    """Whether the download has been done."""
    folder = Path(os.path.expanduser(KEPT))  # unchanged without a home folder
    return all(is_right(folder / name, sha256, size) for name, (size, sha256) in FILES.items())
