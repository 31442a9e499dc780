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
from dcgan_tf.common.labels import Labels
from dcgan_tf.common.pages import check_place, policy_hash, render
from dcgan_tf.explore.latent_formula import AMOUNT, PICKS
from dcgan_tf.explore.runtime import runtime
from dcgan_tf.models.onnx_file import to_onnx
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import Sampler

FOLDER = Path(__file__).parent
# {hash of the weights: the seed that the page opens with}; 0 for other generators. Chosen by eye
# from seeds 0 to 63: a face without flaws, with truncation 0.7 and without.
FIRST_SEEDS = {"3cf172c86a60": 37}


def describe(
    name: str, sampler: Sampler, directions: Directions | None, hint: str, license: str = ""
) -> dict:
    """Describe a generator for its page; JSON-serializable.

    Args:
        hint: the command that finds directions, shown where there are none.
        license: the generator's terms in one sentence; "" if unknown.
    """
    height, width, channels = sampler.picture_shape
    d = directions
    listed = zip(d.names, d.kinds, d.reach, d.vectors, strict=True) if d else ()
    return {
        "name": name,
        "sha256": sampler.sha256,
        "latent_dim": sampler.latent_dim,
        "labels": describe_labels(sampler.labels),
        "height": height,
        "width": width,
        "channels": channels,
        "range": range_of(sampler.model),
        "seed": FIRST_SEEDS.get(sampler.sha256[:12], 0),
        "directions": [
            {"name": name, "kind": kind, "reach": float(reach), "vector": _base64(_bytes(vector))}
            for name, kind, reach, vector in listed
        ],
        "directions_sha256": hash_of(d) if d else "",
        "hint": hint,
        "license": license,
        "version": __version__,
        "picks": PICKS,
        "amount": AMOUNT,
    }


def describe_labels(labels: Labels | None) -> dict | None:
    """Describe labels for latents.js; `on` are the places of 1 in the labels for seeds."""
    if not labels:
        return None
    on = [np.flatnonzero(tail).tolist() for tail in labels.tails(range(len(labels.drawn)))]
    return {"names": list(labels.names), "classes": labels.classes, "on": on}


def hash_of(directions):
    """Hash the directions, so that a link detects others with the same names."""
    parts = _bytes(directions.reach), _bytes(directions.vectors)
    return hashlib.sha256(b"".join((json.dumps(directions.names).encode(), *parts))).hexdigest()


def _bytes(numbers):
    return np.asarray(numbers, "<f4").tobytes()


def served_page(about: dict) -> bytes:
    """Render the page of `PageServer`, in UTF-8; `about` is from `describe`."""
    return _render("by_server.js", about, connect="'self'", also="", blocks="")


def write_static(out: Path, sampler: Sampler, about: dict, folder: Path | None):
    """Write the page that needs no server, whole or not at all.

    Args:
        about: from `describe`.
        folder: with onnxruntime-web, or None to download it once.

    Raises:
        UserError: another file is in its place, a package or the runtime is missing, or a layer
            cannot be written as ONNX.
    """
    check_place(out, "explorer", "--static")
    with tempfile.TemporaryDirectory() as scratch:  # before anything is downloaded
        model = Path(scratch) / "generator.onnx"
        to_onnx(sampler.model, model)
        parts = {"model": model.read_bytes()}
    script, parts["glue"], parts["binary"] = runtime(folder).values()
    library = script.decode().strip()
    blocks = [
        f'<script type="application/octet-stream" id="{name}">'
        f"{_base64(gzip.compress(content, mtime=0))}</script>\n"
        for name, content in parts.items()
    ]
    # The runtime's other half is a module, which a page can only load from a URL.
    also = f" 'sha256-{policy_hash(library)}' blob: 'wasm-unsafe-eval'"
    blocks = f"{''.join(blocks)}<script>{library}</script>\n"
    text = _render("in_page.js", about, connect="'none'", also=also, blocks=blocks)
    with replacing(out) as temporary:
        temporary.write_bytes(text)


def _render(painter, about, **more):
    scripts = ["png.js", "latents.js", painter, "explorer.js"]
    return render(FOLDER, about["name"], ["explorer.css"], scripts, about, **more)


def _base64(content):
    return base64.b64encode(content).decode()
