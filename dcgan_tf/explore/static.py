"""The explorer as one file that needs no server and no network."""

import base64
import gzip
import html
import tempfile
from pathlib import Path

import numpy as np

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.directions import Directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pages import check_place, policy_hash
from dcgan_tf.explore.page import page
from dcgan_tf.explore.runtime import runtime
from dcgan_tf.models.onnx_file import to_onnx
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import Sampler

SCRIPTS = ("png.js", "latents.js", "in_page.js", "explorer.js")


def write_static(
    out: Path, sampler: Sampler, directions: Directions | None, about: dict, folder: Path | None
):
    """Write the page, whole or not at all.

    Args:
        about: from `describe`; folder: with onnxruntime-web, or None to fetch it.

    Raises:
        UserError: another file is in its place, a package or the runtime is missing, or a layer
            cannot be written as ONNX.
    """
    check_place(out, "explorer", "--static")
    model = _onnx(sampler)  # a package that is missing is said before anything is fetched
    text = static_page(sampler, directions, about, model, runtime(folder))
    with replacing(out) as temporary:
        temporary.write_bytes(text)


def static_page(
    sampler: Sampler,
    directions: Directions | None,
    about: dict,
    model: bytes,
    files: dict[str, bytes],
) -> bytes:
    """The page, in UTF-8.

    Args:
        model: the generator as ONNX; files: of onnxruntime-web, from `runtime`.
    """
    library, glue, binary = files.values()
    library = library.decode().strip()
    if "</script" in library.lower():
        raise UserError("the runtime's script cannot stand inside a page")
    blocks = [_block("glue", glue), _block("binary", binary), _block("model", model)]
    return page(
        about | {"range": range_of(sampler.model), "directions": _whole(about, directions)},
        SCRIPTS,
        connect="'none'",
        # The runtime's other half is a module, which a page can only load from an address.
        also=f" 'sha256-{policy_hash(library)}' blob: 'wasm-unsafe-eval'",
        blocks="".join([*blocks, f"<script>{library}</script>\n"]),
    )


def _whole(about, directions):
    """list of dict: the directions with their vectors, little-endian float32 as base64."""
    vectors = [] if directions is None else np.asarray(directions.vectors, "<f4")
    return [
        one | {"vector": base64.b64encode(vector.tobytes()).decode()}
        for one, vector in zip(about["directions"], vectors, strict=True)
    ]


def _onnx(sampler):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.onnx"
        to_onnx(sampler.model, path)
        return path.read_bytes()


def _block(name, content):
    """str: an element that holds bytes."""
    packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{html.escape(name)}">{packed}</script>\n'
