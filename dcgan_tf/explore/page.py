"""The explorer's page: served, or as one file that needs no server and no network."""

import base64
import gzip
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from dcgan_tf import __version__
from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.directions import Directions
from dcgan_tf.common.pages import check_place, policy_hash, render
from dcgan_tf.explore.latent_formula import AMOUNT, PICKS
from dcgan_tf.explore.runtime import runtime
from dcgan_tf.models.onnx_file import to_onnx
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import Sampler

FOLDER = Path(__file__).parent


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
    listed = zip(d.names, d.kinds, d.reach, strict=True) if d else ()
    return {
        "name": name,
        "sha256": sampler.sha256,
        "latent_dim": sampler.latent_dim,
        "height": height,
        "width": width,
        "channels": channels,
        "directions": [{"name": n, "kind": k, "reach": float(reach)} for n, k, reach in listed],
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
    scripts = ["png.js", "by_server.js", "explorer.js"]
    more = {"connect": "'self'", "also": "", "blocks": ""}
    return render(FOLDER, about["name"], ["explorer.css"], scripts, about, **more)


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
    script, glue, binary = runtime(folder).values()
    library = script.decode().strip()
    vectors = [] if directions is None else np.asarray(directions.vectors, "<f4")
    whole = [
        one | {"vector": base64.b64encode(vector.tobytes()).decode()}
        for one, vector in zip(about["directions"], vectors, strict=True)
    ]
    more = {
        "connect": "'none'",
        # The runtime's other half is a module, which a page can only load from an address.
        "also": f" 'sha256-{policy_hash(library)}' blob: 'wasm-unsafe-eval'",
        "blocks": f"{_block('glue', glue)}{_block('binary', binary)}{_block('model', model)}"
        f"<script>{library}</script>\n",
    }
    scripts = ["png.js", "latents.js", "in_page.js", "explorer.js"]
    data = about | {"range": range_of(sampler.model), "directions": whole}
    text = render(FOLDER, about["name"], ["explorer.css"], scripts, data, **more)
    with replacing(out) as temporary:
        temporary.write_bytes(text)


def _block(name, content):
    """An element that holds bytes."""
    packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{name}">{packed}</script>\n'
