"""Serve the explorer, or write it as a static page."""

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

HINT = "dcgan directions"  # on a static page


def explore(request: ExploreRequest):
    """Serve the page until Ctrl-C, or write it.

    Raises:
        UserError: no generator, directions of another generator, a taken port, or a file that
            cannot be written.
    """
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    found = find_directions(request, sampler)
    # A static page does not reveal paths on this machine.
    hint = HINT if request.static is not None else request.hint
    about = describe(request.name, sampler, found, hint, license_of(request.model))
    if request.static is not None:
        write_static(request.static, sampler, about, request.runtime)
        size = limits.in_words(request.static.stat().st_size)
        log.info(f"explorer: {request.static}, {size}; it opens from disk, without a server")
        return
    with serve(request.port, sampler, found, about) as server:
        log.info(f"explorer: {server.address}")
        log.info("only this machine can open it; stop with Ctrl-C")
        try:
            with open_browser(server.address) if request.browser else contextlib.nullcontext():
                server.serve_forever()
        except KeyboardInterrupt:
            log.info("closed")


@contextlib.contextmanager
def open_browser(address: str):
    """Open an address in the browser through a redirecting file that only this user can read.

    A command line with the address and its token would be visible to all users of the machine.
    The file is in the home directory, because a browser installed as a snap cannot read /tmp or
    hidden folders. It is deleted when the context ends.
    """
    home = os.path.expanduser("~")
    folder = home if os.access(home, os.W_OK) else None
    handle, name = tempfile.mkstemp(".html", "dcgan_tf-", folder)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">')
    try:
        uri = Path(name).as_uri()
        threading.Thread(target=webbrowser.open, args=(uri,), daemon=True).start()
        yield
    finally:
        Path(name).unlink(missing_ok=True)


def find_directions(request: ExploreRequest, sampler: Sampler) -> Directions | None:
    """Read the named directions, else those of the generator, else None.

    Unusable directions are a UserError if they were named, else a warning.
    """
    if request.directions is not None:
        return read_directions(request.directions, sampler, "--directions")
    for path in filter(os.path.lexists, request.found):
        try:
            return read_directions(path, sampler, "")
        except UserError as error:
            log.warning(f"left out: {error}")
    log.info(f"no directions for sliders yet; find some with: {request.hint}")
    return None


def license_of(model: Path) -> str:
    """A generator's terms of use in one sentence; "" if unknown."""
    try:
        bound = origin_of(model).bound
    except UserError:  # a damaged config.toml
        bound = ""
    if not bound:
        return ""
    source = {"celeba": "CelebA"}.get(bound, bound)
    return (
        f"For {DATASETS[bound].terms}: the generator was trained on {source}, "
        "whose license also applies to what is trained on it."
    )


def serve(port: int, sampler: Sampler, directions: Directions | None, about: dict) -> PageServer:
    """Start the page's server; `serve_forever` answers requests.

    Its `images` are those of generate.py, computed in batches of the same size. Its `drafts` are
    computed one by one: ten times as fast, but they may differ by one gray level.
    """
    alone = Sampler(sampler.model, strict=True, chunk=1)
    alone.array(np.zeros((1, alone.latent_dim)))  # compiles before the first request
    one_at_a_time = threading.Lock()  # parallel calls would compete for the same cores

    def draw_with(sampler):
        def draw(asked):
            if not isinstance(asked, list) or not 1 <= len(asked) <= CHUNK:
                raise ValueError(f"expected a list of 1 to {CHUNK} images")
            recipes = map(read_recipe, asked)
            space = sampler.latent_dim, directions, sampler.labels
            latents = np.stack([latent(each, *space) for each in recipes])
            with one_at_a_time:
                images = sampler.array(latents)
            lengths = np.linalg.norm(latents[:, : sampler.normal_dim].astype(float), axis=1)
            return images.tobytes(), {"X-Norms": ",".join(map(str, lengths.tolist()))}

        return draw

    draw = {"images": draw_with(sampler), "drafts": draw_with(alone)}
    return PageServer(port, served_page(about), draw)
