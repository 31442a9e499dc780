"""The explorer's page: one HTML file with style and script inside."""

import hashlib
import html
import json
from pathlib import Path

import numpy as np

from dcgan_tf import __version__
from dcgan_tf.common.directions import Directions
from dcgan_tf.common.pages import LOOK, as_script_data, fill, policy_hash
from dcgan_tf.explore.latent_formula import AMOUNT, PICKS

_FOLDER = Path(__file__).parent


def page(
    about: dict, scripts: tuple[str, ...], connect: str, also: str = "", blocks: str = ""
) -> bytes:
    """The page, in UTF-8.

    Args:
        about: what it says of the generator, from `describe`.
        scripts: names of the files that are its script, in order.
        connect: what its Content-Security-Policy lets it connect to; also: what it lets it run
            beside its script.
        blocks: further elements with data, as HTML.
    """
    style = LOOK + part("explorer.css")
    script = '"use strict";\n' + "".join(map(part, scripts))
    return fill(
        part("template.html"),
        {
            "title": html.escape(about["name"]),
            "style": style,
            "style_hash": policy_hash(style),
            "script": script,
            "script_hash": policy_hash(script),
            "connect": connect,
            "also": also,
            "data": as_script_data(about),
            "blocks": blocks,
        },
    )


def part(name: str) -> str:
    """One of the files that the page is made of."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def describe(
    name: str, sampler, directions: Directions | None, hint: str, licence: str = ""
) -> dict:
    """What the page knows of its generator, as a dict that JSON can hold.

    Args:
        hint: how to get directions, in one line, where there are none.
        licence: what binds the generator, in one sentence; "" where nothing is known of it.
    """
    height, width, channels = sampler.picture_shape
    listed = zip(*_lists(directions), strict=True) if directions else ()
    return {
        "name": name,
        "sha256": sampler.sha256,
        "latent_dim": sampler.latent_dim,
        "height": height,
        "width": width,
        "channels": channels,
        "directions": [{"name": n, "kind": kind, "reach": reach} for n, kind, reach in listed],
        "directions_sha256": _sha256(directions) if directions else "",
        "hint": hint,
        "licence": licence,
        "version": __version__,
        "picks": PICKS,
        "amount": AMOUNT,
    }


def _sha256(directions):
    """str: over all that a step along them is made of, so that a link knows others from these."""
    digest = hashlib.sha256(json.dumps(directions.names).encode())
    for numbers in (directions.reach, directions.vectors):
        digest.update(np.asarray(numbers, "<f4").tobytes())
    return digest.hexdigest()


def _lists(directions):
    return directions.names, directions.kinds, [float(reach) for reach in directions.reach]
