"""Write a generator in each format, check and time it, publish one folder."""

import logging
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from dcgan_tf.common.atomic_write import new_folder
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import output_folder
from dcgan_tf.common.hub import push
from dcgan_tf.common.pretrained import home_of
from dcgan_tf.common.progress import progress
from dcgan_tf.export.command import HUB, ExportRequest
from dcgan_tf.export.formats import FORMATS, in_tensorflow, refusing
from dcgan_tf.export.hub import FILES, check_license, formats_of_hub, write_hub
from dcgan_tf.metrics.features import full_float32
from dcgan_tf.models.loading import in_float32, load_generator
from dcgan_tf.models.pixels import range_of

log = logging.getLogger(__name__)

SEEDS = range(64)  # whose images are compared
TOLERANCE = 0.05  # gray levels of 255 that a format may differ; rounding makes a hundredth
CALLS, SECONDS = 30, 1.0  # that a format is timed for at most, or one call
HEADS = ("", "bytes", "gray levels off", "ms, 1 alone", f"ms, of {len(SEEDS)}")


def export(request: ExportRequest) -> Path:
    """Write the formats as one folder, whole or not at all, log a table, return the folder."""
    for name in request.to:
        if name != HUB and (why := FORMATS[name].missing()):
            raise UserError(why, flag=f"--to {name}")
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    origin = check_license(request) if HUB in request.to else None
    wanted = [(name, "") for name in request.to if name != HUB]
    if origin:
        wanted += [(name, f"{HUB}/") for name in formats_of_hub()]
    model = in_float32(sampler.model)
    latents = sampler.latents(SEEDS)
    with full_float32():
        expected = in_tensorflow(model)(latents)
    with (
        output_folder(request.out, home_of(request.model) / "exported") as out,
        new_folder(out) as folder,
    ):
        rows: list[tuple[str, ...]] = [HEADS]
        with progress(len(wanted), "exporting", "formats") as bar:
            for name, prefix in wanted:
                path = folder / prefix / FORMATS[name].file
                path.parent.mkdir(exist_ok=True)
                cells = _write(name, model, path, latents, expected)
                rows.append((path.relative_to(folder).as_posix(), *cells))
                bar.update()
        if origin:
            write_hub(folder / HUB, request, sampler, origin)
    width = max(len(file) for file, *_ in rows)
    lines = [f"{file:{width}}  " + "".join(f"{c:>17}" for c in cells) for file, *cells in rows]
    log.info("\n".join(lines))
    log.info(f"wrote {out}")
    if request.push:
        log.info(f"uploaded to {push(out / HUB, request.push, '--push', FILES)}")
    return out


def _write(name: str, model: keras.Model, path: Path, latents, expected):
    """Write one of `FORMATS`, check and time it; return its cells of the table."""
    form = FORMATS[name]
    with refusing(form.title):
        form.write(model, path)
        forward = form.load(path)
        with full_float32():
            images = np.asarray(forward(latents))
    difference = np.inf
    if images.shape == expected.shape:
        levels = 255.0 if range_of(model) == "sigmoid" else 127.5
        difference = float(np.abs(images - expected).max() * levels)
    if not difference <= TOLERANCE:  # NaN, too
        raise UserError(
            f"{form.title}: its images differ from those of Keras by up to {difference:.3g} "
            f"gray levels of 255, {TOLERANCE} at most; it was not written"
        )
    together = _milliseconds(forward, latents)
    forward(latents[:1])  # the first call with another number of latents prepares
    alone = _milliseconds(forward, latents[:1])
    size = sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
    return f"{size:,}", f"{difference:.1e}" if difference else "0", alone, together


def _milliseconds(forward, latents):
    """The median time of a call, per image."""
    times, end = [], time.perf_counter() + SECONDS
    while not times or (len(times) < CALLS and time.perf_counter() < end):
        start = time.perf_counter()
        forward(latents)
        times.append(time.perf_counter() - start)
    return f"{1000 * statistics.median(times) / len(latents):.2f}"
