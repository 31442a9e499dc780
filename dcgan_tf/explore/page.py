"""The explorer's page: served, or as one file that needs no server and no network."""

import base64
import gzip
import hashlib
import html
import json
import tempfile
from pathlib import Path

import numpy as np

from dcgan_tf import __version__
from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.directions import Directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pages import LOOK, as_script_data, check_place, fill, policy_hash
from dcgan_tf.explore.latent_formula import AMOUNT, PICKS
from dcgan_tf.explore.runtime import runtime
from dcgan_tf.models.onnx_file import to_onnx
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import Sampler

_FOLDER = Path(__file__).parent


def describe(
    name: str, sampler: Sampler, directions: Directions | None, hint: str, licence: str = ""
) -> dict:
    """What the page says of its generator; JSON-serializable.

    Args:
        hint: how to get directions, in one line, where there are none.
        licence: the terms of the generator, in one sentence; "" where nothing is known.
    """
    height, width, channels = sampler.picture_shape
    d = directions
    return {
        "name": name,
        "sha256": sampler.sha256,
        "latent_dim": sampler.latent_dim,
        "height": height,
        "width": width,
        "channels": channels,
        "directions": [
            {"name": name, "kind": kind, "reach": float(reach)}
            for name, kind, reach in (zip(d.names, d.kinds, d.reach, strict=True) if d else ())
        ],
        "directions_sha256": _sha256(d) if d else "",
        "hint": hint,
        "licence": licence,
        "version": __version__,
        "picks": PICKS,
        "amount": AMOUNT,
    }


def _sha256(directions):
    """Over all that a step along the directions is made of: a link tells others from these."""
    digest = hashlib.sha256(json.dumps(directions.names).encode())
    for numbers in (directions.reach, directions.vectors):
        digest.update(np.asarray(numbers, "<f4").tobytes())
    return digest.hexdigest()


def served_page(about: dict) -> bytes:
    """The page of `PageServer`, in UTF-8; `about` is from `describe`."""
    return _page(about, ("png.js", "by_server.js", "explorer.js"), connect="'self'")


def write_static(
    out: Path, sampler: Sampler, directions: Directions | None, about: dict, folder: Path | None
):
    """Write the page that needs no server, whole or not at all.

    Args:
        about: from `describe`; folder: with onnxruntime-web, or None to fetch it.

    Raises:
        UserError: another file is in its place, a package or the runtime is missing, or a layer
            cannot be written as ONNX.
    """
    check_place(out, "explorer", "--static")
    with tempfile.TemporaryDirectory() as scratch:  # before anything is fetched
        to_onnx(sampler.model, Path(scratch) / "generator.onnx")
        model = (Path(scratch) / "generator.onnx").read_bytes()
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
    """The page that needs no server, in UTF-8.

    Args:
        model: the generator as ONNX; files: of onnxruntime-web, from `runtime`.
    """
    script, glue, binary = files.values()
    library = script.decode().strip()
    if "</script" in library.lower():
        raise UserError("the runtime's script cannot stand inside a page")
    vectors = [] if directions is None else np.asarray(directions.vectors, "<f4")
    whole = [
        one | {"vector": base64.b64encode(vector.tobytes()).decode()}
        for one, vector in zip(about["directions"], vectors, strict=True)
    ]
    blocks = [_block("glue", glue), _block("binary", binary), _block("model", model)]
    return _page(
        about | {"range": range_of(sampler.model), "directions": whole},
        ("png.js", "latents.js", "in_page.js", "explorer.js"),
        connect="'none'",
        # The runtime's other half is a module, which a page can only load from an address.
        also=f" 'sha256-{policy_hash(library)}' blob: 'wasm-unsafe-eval'",
        blocks="".join([*blocks, f"<script>{library}</script>\n"]),
    )


def _block(name, content):
    """An element that holds bytes."""
    packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{name}">{packed}</script>\n'


def _page(about, scripts, connect, also="", blocks=""):
    """The filled template.

    Args:
        connect, also: the addresses and the further scripts that its Content-Security-Policy
            allows; blocks: further elements with data, as HTML.
    """
    style = LOOK + part("explorer.css")
    script = '"use strict";\n' + "".join(map(part, scripts))
    parts = {
        "title": html.escape(about["name"]),
        "style": style,
        "style_hash": policy_hash(style),
        "script": script,
        "script_hash": policy_hash(script),
        "connect": connect,
        "also": also,
        "data": as_script_data(about),
        "blocks": blocks,
    }
    return fill(part("template.html"), parts)


def part(name: str) -> str:
    """One of the files that the page is made of."""
    return (_FOLDER / name).read_text(encoding="utf-8")
