"""Generate images: from the request to the files."""

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from dcgan_tf.common import files, limits, pretrained
from dcgan_tf.common.atomic_write import sweep
from dcgan_tf.common.errors import UserError, describe, is_file_system_error
from dcgan_tf.common.images import (
    GAP,
    GIF_FRAMES,
    default_scale,
    enlarge,
    grid,
    save_gif,
    save_png,
    to_pillow,
)
from dcgan_tf.common.limits import counted
from dcgan_tf.common.progress import progress
from dcgan_tf.generate.command import GenerationRequest
from dcgan_tf.generate.latents import ConstantLatents, FileLatents, SeedLatents, numbers
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import CHUNK, seed_latents, slerp

log = logging.getLogger(__name__)

GIF_WIDTH = 250  # pixels that an animation is enlarged to, or more: a quarter of a grid's bytes
COLUMNS = 8  # of the strip, from one seed to the next


def generate(request: GenerationRequest) -> Path:
    """Generate what is asked for, and say what was made.

    Returns:
        The folder that was written.

    Raises:
        UserError: a model that is no generator, latents that do not fit it, or no place to write;
            nothing is written then. A disk that fills up: the message says what is whole.
    """
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    text = {"model_sha256": sampler.sha256, "truncation": request.truncation}
    out = (_interpolate if request.interpolate else _generate)(request, sampler, text)
    log.info(f"wrote {out}")
    return out


def _latents(request, length):
    if request.latents is not None:
        return FileLatents(request.latents, length, request.limit, request.truncation)
    if request.fill:
        return ConstantLatents(request.fill, length, request.truncation)
    return SeedLatents(request.seeds, length, request.truncation)


def _generate(request, sampler, text):
    """Path: the folder with one picture a latent, and a grid of them."""
    latents = _latents(request, sampler.latent_dim)
    most = _shown_at_most(sampler.picture_shape, request.scale)
    shown, made = [], _Made(request, latents)
    # The files are written while the next pictures are computed.
    with (
        made.whole_pictures_named(),
        ThreadPoolExecutor(1) as writer,
        progress(latents.count, "generating") as bar,
    ):
        writing = None
        for start in range(0, latents.count, CHUNK):
            stop = min(start + CHUNK, latents.count)
            pictures = sampler.array(latents.rows(start, stop))
            shown.extend(pictures[: max(0, most - len(shown))])
            if writing:
                writing.result()
            writing = writer.submit(made.add, pictures, text)
            bar.update(stop - start)
        writing.result()
        canvas, scale = _enlarged(grid(np.stack(shown)), request.scale)
        save_png(made.out / "grid.png", canvas, text)
    log.info(f"{counted(latents.count, 'image')} of {latents.title} in {made.out / 'images'}")
    part = "all" if len(shown) == latents.count else f"the first {len(shown):,} of them"
    words = f", enlarged {scale} times" if scale > 1 else ""
    log.info(f"grid.png shows {part}{words}; next: look at it, then try {_other(request)}")
    return made.out


class _Made:
    """The folder of single pictures; it is made with the first of them."""

    def __init__(self, request, latents):
        self._request, self._latents = request, latents
        self.out, self.count = None, 0

    def add(self, pictures, text):
        """Write the pictures of the next latents, each whole or not at all."""
        if self.out is None:
            self.out = _open_out(self._request, ("grid.png",), ("images",))
        for picture in pictures:
            path = self.out / "images" / f"{self._latents.name(self.count)}.png"
            # Thousands of small files: waiting for the disk after each would take most of the time.
            save_png(path, picture, {**text, **self._latents.text(self.count)}, sync=False)
            self.count += 1

    @contextlib.contextmanager
    def whole_pictures_named(self):
        """Where the work ends early, say which pictures there are."""
        try:
            with _no_empty_folder(lambda: self.out):
                yield
        except OSError as error:
            if not is_file_system_error(error):
                raise
            raise UserError(f"{describe(error)}; {self._whole()}") from None
        except (KeyboardInterrupt, UserError):
            if self.count:
                log.warning(self._whole())
            raise

    def _whole(self):
        if not self.count:
            return "no picture was written"
        first, last = self._latents.name(0), self._latents.name(self.count - 1)
        return (
            f"{self.count:,} of {counted(self._latents.count, 'image')} are whole, "
            f"{first}.png to {last}.png in {self.out / 'images'}; there is nothing else"
            + ("; --force writes them again" if self._request.out else "")
        )


def _interpolate(request, sampler, text):
    """Path: the folder with an animation and a strip of the way through the seeds.

    Only the steps that one of them shows are made.
    """
    corners = request.truncation * seed_latents(request.interpolate, sampler.latent_dim)
    pairs, steps = len(corners) - 1, request.frames - 1
    most = _shown_at_most(sampler.picture_shape, request.scale)
    gif = _evenly(pairs * steps + 1, GIF_FRAMES)
    strip = _evenly(pairs * steps + 1, min(COLUMNS * pairs + 1, max(most, 2)))
    wanted = np.union1d(gif, strip)
    pictures = np.empty((len(wanted), *sampler.picture_shape), np.uint8)
    with progress(len(wanted), "generating") as bar:
        for start in range(0, len(wanted), CHUNK):
            latents = [_between(corners, step, steps) for step in wanted[start : start + CHUNK]]
            pictures[start : start + CHUNK] = sampler.array(np.stack(latents))
            bar.update(len(latents))
    out = _open_out(request, ("interpolation.gif", "strip.png"))
    with _no_empty_folder(lambda: out):
        scale = request.scale or default_scale(sampler.picture_shape[1], GIF_WIDTH)
        moving = pictures[np.searchsorted(wanted, gif)]
        images = [to_pillow(enlarge(picture, scale)) for picture in moving]
        save_gif(out / "interpolation.gif", images, 60, 600)
        row = grid(pictures[np.searchsorted(wanted, strip)], columns=len(strip))
        seeds = ",".join(map(str, request.interpolate))
        save_png(out / "strip.png", _enlarged(row, request.scale)[0], {**text, "seeds": seeds})
    log.info(
        f"interpolation.gif goes through the {numbers(request.interpolate)} in {len(gif)} frames, "
        f"strip.png shows {len(strip)} of its pictures in a row"
    )
    return out


def _between(corners, step, steps):
    """float32 (length,): the latent of one step of the way, `steps` from seed to seed."""
    pair = min(step // steps, len(corners) - 2)
    return slerp(corners[pair], corners[pair + 1], (step - pair * steps) / steps)


def _evenly(count, most):
    """int array: at most `most` of 0 ... count - 1, evenly chosen, with the first and the last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _shown_at_most(shape, scale):
    """int: how many pictures one file shows, so that it can be opened."""
    pixels = (shape[0] + GAP) * (shape[1] + GAP) * max(scale, 1) ** 2
    most = limits.GRID_PIXELS // pixels
    if not most and scale > 1:
        raise UserError(f"one picture would have {pixels:,} pixels", flag=f"--scale {scale}")
    return min(max(most, 1), limits.GRID_PICTURES)


def _enlarged(canvas, scale):
    """The picture as it is shown, and how many times it was enlarged."""
    scale = scale or default_scale(canvas.shape[1])
    return enlarge(canvas, scale), scale


def _other(request):
    """Flags that somebody who saw these pictures may want next."""
    first, last = request.seeds[0], min(request.seeds[-1], limits.SEED - 64)
    return f"--seeds {last + 1}-{last + 64} or --interpolate {first},{last + 1}"


def _open_out(request, names, folders=()):
    """Path: the folder to write into; made only now, when nothing can be refused any more.

    Args:
        names: files that will be written there; folders: that will be made there.
    """
    out = request.out
    if out is None:
        parent = pretrained.home_of(request.model) / "generated"
        for last in sorted(parent.glob("[0-9]*"))[-1:]:  # it may have been killed
            sweep(last)
            sweep(last / "images")
        out = files.next_directory(parent)
    else:
        files.make_directory(out, "--out")
    for name in names:
        if (out / name).is_dir():
            raise UserError(f"{out / name} is a folder, in the way of a file", flag=f"--out {out}")
    for name in folders:
        files.make_directory(out / name, "--out")
    return out


@contextlib.contextmanager
def _no_empty_folder(folder):
    """Take the folder away again where the work ends before there is a file in it."""
    try:
        yield
    except BaseException:
        if folder() is not None:
            for path in (folder() / "images", folder()):
                with contextlib.suppress(OSError):
                    path.rmdir()  # refuses one that has files
        raise
