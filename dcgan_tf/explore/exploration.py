"""The explorer from the request to a served or written page."""

import contextlib
import logging
import os
import tempfile
import threading
import webbrowser
from pathlib import Path

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.directions import Directions, read_directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.origin import origin_of
from dcgan_tf.explore.command import ExploreRequest
from dcgan_tf.explore.latent_formula import latent, read_recipe
from dcgan_tf.explore.page import describe, served_page, write_static
from dcgan_tf.explore.server import PageServer
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import CHUNK, Sampler

log = logging.getLogger(__name__)

HINT = "python -m dcgan_tf.directions"


def explore(request: ExploreRequest):
    """Serve the page until Ctrl-C, or write it.

    Raises:
        UserError: no generator, directions of another one, a port that is taken, or a file that
            cannot be written.
    """
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    found = find_directions(request, sampler)
    # A page for others does not say where files lie here.
    hint = HINT if request.static is not None else f"{HINT} {request.how}"
    about = describe(request.name, sampler, found, hint, licence_of(request.model))
    if request.static is not None:
        write_static(request.static, sampler, found, about, request.runtime)
        size = limits.in_words(request.static.stat().st_size)
        log.info(f"explorer: {request.static}, {size}; it opens from disk, without a server")
        return
    with serve(request.port, sampler, found, about) as server:
        log.info(f"explorer: {server.address}")
        log.info("it answers this machine alone, until Ctrl-C")
        try:
            with open_browser(server.address) if request.browser else contextlib.nullcontext():
                server.serve_forever()
        except KeyboardInterrupt:
            log.info("closed")


@contextlib.contextmanager
def open_browser(address: str):
    """Open an address in the browser.

    Every user of the machine can read command lines, and the address has the token. So the browser
    is given the name of a file that leads there, which is for this user alone. It lies in the home
    directory, for a browser that was installed as a snap sees neither /tmp nor hidden folders.
    """
    home = os.path.expanduser("~")
    folder = home if os.access(home, os.W_OK) else None
    handle, name = tempfile.mkstemp(".html", "dcgan_tf-", folder)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">')

    def show():
        if not webbrowser.open(Path(name).as_uri()):
            log.info("no browser was found here: open the address in one")

    try:
        threading.Thread(target=show, daemon=True).start()
        yield
    finally:
        Path(name).unlink(missing_ok=True)


def find_directions(request: ExploreRequest, sampler: Sampler) -> Directions | None:
    """The directions that were named, or those of the generator; None where there are none.

    Raises:
        UserError: those that were named cannot be used. Others are left out with a warning.
    """
    if request.directions is not None:
        return read_directions(request.directions, sampler, "--directions")
    for path in filter(os.path.lexists, request.found):
        try:
            return read_directions(path, sampler, "")
        except UserError as error:
            log.warning(f"left out: {error}")
    log.info(f"no directions for sliders yet; they are made by: {HINT} {request.how}")
    return None


def licence_of(model: Path) -> str:
    """The terms that bind a generator's file, in one sentence; "" where its run tells none."""
    try:
        bound = origin_of(model).bound
    except UserError:  # a damaged config.toml: the page does without
        return ""
    if not bound:
        return ""
    source = {"celeba": "CelebA"}.get(bound, bound)
    return (
        f"For {DATASETS[bound].terms}: the generator learnt from {source}, "
        "whose licence says so and holds for what is trained on it too."
    )


def serve(port: int, sampler: Sampler, directions: Directions | None, about: dict) -> PageServer:
    """Start a server of the page, which listens; `serve_forever` lets it answer.

    `pictures` gives the pixels of generate.py, in passes of the same size. `drafts` passes
    each through the generator alone, some ten times as fast, and may differ by a gray level.
    """
    alone = Sampler(sampler.model, strict=True, chunk=1)
    alone.array(np.zeros((1, alone.latent_dim)))  # compiles before the first request
    draw = {"pictures": _draw(sampler, directions), "drafts": _draw(alone, directions)}
    return PageServer(port, served_page(about), draw)


_one_at_a_time = threading.Lock()  # two passes at once would only wait for each other's cores


def _draw(sampler, directions):
    """A function from recipes in JSON to pixels and headers, for PageServer."""

    def draw(asked):
        if not isinstance(asked, list) or not 1 <= len(asked) <= CHUNK:
            raise ValueError(f"expected a list of 1 to {CHUNK} images")
        latents = np.stack(
            [latent(read_recipe(each), sampler.latent_dim, directions) for each in asked]
        )
        with _one_at_a_time:
            images = sampler.array(latents)
        lengths = np.linalg.norm(latents.astype(float), axis=1)
        return images.tobytes(), {"X-Norms": ",".join(map(repr, map(float, lengths)))}

    return draw
