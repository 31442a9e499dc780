"""Generate images and write their files."""

import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.animations import FRAMES, save_animation
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.files import output_folder
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.images import (
    GAP,
    default_scale,
    enlarge,
    evenly,
    grid,
    save_png,
    to_pillow,
)
from dcgan_tf.common.limits import counted
from dcgan_tf.common.pretrained import home_of
from dcgan_tf.common.progress import progress
from dcgan_tf.common.suggestions import path_flag
from dcgan_tf.generate.command import GenerationRequest, check_count, check_out
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import CHUNK, Sampler, finite, slerp

GRID_IMAGES = 1024  # at most in grid.png and strip.png
GIF_WIDTH = 250  # an animation is enlarged to at least so many pixels
COLUMNS = 8  # of the strip, from one seed to the next
PREFIX_BYTES = 150  # most in a class's part of a file name; many file systems allow 255 in all
BLOCK = 4096  # rows of a file of latents that are checked together
log = logging.getLogger(__name__)


def generate(request: GenerationRequest) -> Path:
    """Generate the images of a request, log what was written, and return the folder.

    Bad input is refused before anything is written.
    """
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    text = {"model_sha256": sampler.sha256, "truncation": request.truncation}
    if request.label is not None:
        text["label"] = request.label
    return (_interpolate if request.interpolate else _generate)(request, sampler, text)


@dataclass(frozen=True)
class Latents:
    """Latents in chunks."""

    kind: str  # text key of the PNGs, and beginning of their names
    keys: Sequence  # the seed, row or constant of each latent
    rows: Callable[[int, int], np.ndarray]  # start, stop to float32 (stop - start, latent_dim)
    prefixes: Sequence[str] = ()  # of the names, one for each class
    columns: int | None = None  # images of each class

    def name(self, row: int) -> str:
        key = self.keys[row]
        if self.kind == "fill":
            return f"fill_{_plain(key)}"
        prefix = f"{self.prefixes[row // self.columns]}_" if self.columns else ""
        return f"{prefix}{self.kind}_{key:06d}"


def prepare_latents(request: GenerationRequest, sampler: Sampler) -> Latents:
    """Prepare the latents of a request for a sampler; UserError if one is not finite."""
    seeds, values, length = request.seeds, request.fill, sampler.latent_dim
    truncation = sampler.factor(request.truncation)
    if request.latents is not None:
        array, where = _open_latents(request, length), f"--latents {request.latents}"
        count = len(array)
        for start in range(0, count, BLOCK):  # all of them, before the first image
            _scale(array[start : start + BLOCK], truncation, where)
        return Latents("latent", range(count), lambda a, b: _scale(array[a:b], truncation, where))
    if values:
        _scale(np.array(values), request.truncation, f"--fill {_plain(max(values, key=abs))}")
        column = np.array(values, np.float32)[:, None]
        return Latents("fill", values, lambda a, b: truncation * column[a:b].repeat(length, 1))
    label, labels = request.label, sampler.labels
    if labels and labels.classes and label is None:
        return _prepare_classes(request, sampler, labels.names)
    return Latents("seed", seeds, lambda a, b: truncation * sampler.latents(seeds[a:b], label))


def _prepare_classes(request, sampler, classes):
    """Prepare each class with the seeds of a request; a number of images is shared by them."""
    seeds, factor = request.seeds, sampler.factor(request.truncation)
    if request.counted:
        seeds = seeds[: max(len(seeds) // len(classes), 1)]
    check_count("--seeds", len(seeds) * len(classes), request.limit)
    prefixes = [re.sub(r"[^\w-]", "_", name) for name in classes]
    alike = len(set(map(str.lower, prefixes))) < len(classes)
    if alike or any(len(prefix.encode()) > PREFIX_BYTES for prefix in prefixes):
        prefixes = list(map(str, range(len(classes))))
    keys = [(name, seed) for name in classes for seed in seeds]

    def rows(start, stop):
        latents = [sampler.latents([seed], name) for name, seed in keys[start:stop]]
        return factor * np.concatenate(latents)

    return Latents("seed", [seed for _, seed in keys], rows, prefixes, len(seeds))


def _open_latents(request, length):
    """Map a .npy file of latents into memory."""
    path, where = request.latents, f"--latents {request.latents}"
    check_file(path, "--latents", "a .npy file")
    try:
        with np.errstate(all="raise"):  # a size that overflows
            array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a wrong header may raise anything
        message = f"not a whole .npy file of numbers ({one_line(error)})"
        raise UserError(message, flag=where) from None
    if array.ndim != 2 or array.shape[1] != length or not len(array):
        got = f"got shape {array.shape}, expected (n, {length}) for this model"
        raise UserError(got, flag=where)
    if len(array) > request.limit:
        most = f"at most {request.limit:,} at once; --limit raises this"
        raise UserError(f"has {len(array):,} latents, {most}", flag=where)
    return array


def _scale(values, truncation, where):
    """Multiply by `truncation` in float32."""
    try:
        with np.errstate(over="ignore"):
            return finite(truncation * finite(values))
    except ValueError as error:
        raise UserError(str(error), flag=where) from None


def _plain(value):
    """The shortest text of a number: 0, 0.5, 1e-07."""
    return repr(float(value)).removesuffix(".0")


def _generate(request, sampler, text):
    latents, labels = prepare_latents(request, sampler), sampler.labels
    count, most = len(latents.keys), _shown_at_most(sampler.picture_shape, request.scale)
    columns, classes = latents.columns, len(latents.prefixes)
    width = min(columns, max(most // classes, 1)) if columns else 0  # of the grid; 0: a square
    shown, written, done = [], [], 0

    def write(images):
        for image in images:
            path = out / "images" / f"{latents.name(len(written))}.png"
            row = len(written)
            own = text | {latents.kind: latents.keys[row]}
            if labels and latents.kind == "seed":
                own["label"] = labels.describe(latents.rows(row, row + 1)[0, -labels.n :])
            # Waiting for the disk after each of thousands of files would take most of the time.
            save_png(path, image, own, sync=False)
            written.append(path)

    chunks = (sampler.array(latents.rows(k, k + CHUNK)) for k in range(0, count, CHUNK))
    images = next(chunks)  # fails, if at all, before the folder is made
    if request.out is not None:  # again: another call may have begun to write there meanwhile
        check_out(request.out, request.force)
    with (
        output_folder(request.out, home_of(request.model) / "generated") as out,
        _naming_whole(written, count),
        ThreadPoolExecutor(1) as writer,
        progress(count, "generating") as bar,
    ):
        (out / "images").mkdir(exist_ok=True)
        while images is not None:
            writing = writer.submit(write, images)  # while the next ones are computed
            wanted = (k for k in range(len(images)) if not columns or (done + k) % columns < width)
            # Copies: a view would keep its whole chunk in memory.
            shown.extend(images[k].copy() for k in islice(wanted, most - len(shown)))
            done += len(images)
            bar.update(len(images))
            images = next(chunks, None)
            writing.result()
        canvas, scale = _enlarge(grid(np.stack(shown), width), request.scale)
        if columns:
            text = text | {"rows": ",".join(labels.names[: len(shown) // width])}
        save_png(out / "grid.png", canvas, text)
    first, last = request.seeds[0], min(request.seeds[-1], limits.SEED - 64)
    log.info(f"{counted(count, 'image')} in {out / 'images'}")
    log.info(f"next, try --seeds {last + 1}-{last + 64} or --interpolate {first},{last + 1}")
    if latents.prefixes:
        names = ", ".join(labels.names)
        one = path_flag("--label", labels.names[0])
        log.info(f"a row for each of {names}; for one class: {one}")
    part = counted(count, "image") if len(shown) == count else f"the first {len(shown):,} images"
    if columns and len(shown) < count:
        rows = "each class" if classes <= most else f"each of the first {most:,} classes"
        part = f"the first {counted(width, 'image')} of {rows}"
    words = f", enlarged {scale} times" if scale > 1 else ""
    log.info(f"grid of {part}{words}: {out / 'grid.png'}")
    return out


@contextlib.contextmanager
def _naming_whole(written, count):
    """If the work ends early, log which images are complete."""
    try:
        yield
    except (OSError, KeyboardInterrupt, UserError):
        if written:
            log.warning(
                f"{len(written):,} of {counted(count, 'image')} are complete, {written[0].name} to "
                f"{written[-1].name} in {written[0].parent}; --force writes them again"
            )
        raise


def _interpolate(request, sampler, text):
    """Write an animation and a strip from seed to seed; only the steps in them are computed."""
    way = request.interpolate
    closed = way if way[0] == way[-1] else (*way, way[0])
    corners = sampler.factor(request.truncation) * sampler.latents(closed, request.label)
    pairs, steps = len(way) - 1, request.frames - 1
    most = _shown_at_most(sampler.picture_shape, request.scale)
    gif = evenly(range((len(corners) - 1) * steps), FRAMES[request.format])
    strip = evenly(range(pairs * steps + 1), min(COLUMNS * pairs + 1, max(most, 2)))
    wanted = np.union1d(gif, strip)
    images = np.empty((len(wanted), *sampler.picture_shape), np.uint8)
    with progress(len(wanted), "generating") as bar:
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            latents = [_between(corners, step, steps, sampler.normal_dim) for step in part]
            images[start : start + CHUNK] = sampler.array(np.stack(latents))
            bar.update(len(latents))
    seeds, shown = (",".join(map(str, each)) for each in (way, closed))
    with output_folder(request.out, home_of(request.model) / "generated") as out:
        scale = request.scale or default_scale(sampler.picture_shape[1], GIF_WIDTH)
        frames = [to_pillow(each) for each in images[np.searchsorted(wanted, gif)]]
        animation = out / f"interpolation.{request.format}"
        save_animation(animation, frames, 60, 60, scale)
        row = grid(images[np.searchsorted(wanted, strip)], columns=len(strip))
        save_png(out / "strip.png", _enlarge(row, request.scale)[0], {**text, "seeds": seeds})
    log.info(f"{len(gif)} frames through the seeds {shown}: {animation}")
    log.info(f"{len(strip)} images in a row: {out / 'strip.png'}")
    return out


def _between(corners, step, steps, normal):
    """Latent at one step of the way, with `steps` from seed to seed; labels are mixed."""
    pair = min(step // steps, len(corners) - 2)
    ends, way = corners[pair : pair + 2], (step - pair * steps) / steps
    (start, old), (end, new) = (np.split(each, [normal]) for each in ends)
    return np.concatenate([slerp(start, end, way), (1 - way) * old + way * new])


def _shown_at_most(shape, scale):
    """The largest number of images in one file."""
    pixels = (shape[0] + GAP) * (shape[1] + GAP) * max(scale, 1) ** 2
    most = limits.GRID_PIXELS // pixels
    if not most and scale > 1:
        raise UserError(f"one image would have {pixels:,} pixels", flag=f"--scale {scale}")
    return min(max(most, 1), GRID_IMAGES)


def _enlarge(canvas, scale):
    scale = scale or default_scale(canvas.shape[1])
    return enlarge(canvas, scale), scale
