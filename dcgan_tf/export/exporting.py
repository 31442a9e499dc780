"""Write a generator in each format, check and time it, publish one folder."""

import contextlib
import logging
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from dcgan_tf.common.atomic_write import new_folder
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory, next_directory
from dcgan_tf.common.pretrained import home_of
from dcgan_tf.common.progress import progress
from dcgan_tf.export.command import HUB, ExportRequest
from dcgan_tf.export.formats import FORMATS, Format, in_tensorflow, refusing
from dcgan_tf.export.hub import check_license, write_hub
from dcgan_tf.metrics.features import full_float32
from dcgan_tf.models.loading import in_float32, load_generator
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import seed_latents

log = logging.getLogger(__name__)

SEEDS = range(64)  # whose images are compared
TOLERANCE = 0.05  # gray levels of 255 that a format may differ; rounding makes a hundredth
CALLS, SECONDS = 30, 1.0  # that a format is timed for at most, or one call


def export(request: ExportRequest) -> Path:
    """Write the formats as one folder, whole or not at all, log a table, return the folder."""
    for name in request.to:
        if name != HUB and (why := FORMATS[name].missing()):
            raise UserError(why, flag=f"--to {name}")
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    origin = check_license(request) if HUB in request.to else None
    with _make_place(request) as out, new_folder(out) as folder:
        exporter = Exporter(in_float32(sampler.model), folder)
        with progress(len(request.to), "exporting", "formats") as bar:
            for name in request.to:
                if origin and name == HUB:
                    (folder / HUB).mkdir()
                    write_hub(folder / HUB, request, sampler, origin, exporter.add)
                else:
                    exporter.add(name)
                bar.update()
    log.info(exporter.table())
    log.info(f"wrote {out}")
    return out


@contextlib.contextmanager
def _make_place(request):
    """Make the empty folder to fill; remove it if the block fails."""
    out = request.out
    if out is None:
        out = next_directory(home_of(request.model) / "exported")
    else:
        make_directory(out, "--out")
    try:
        yield out
    except BaseException:
        with contextlib.suppress(OSError):  # another program uses it by now
            out.rmdir()
        raise


class Exporter:
    """Write a float32 generator in several formats into a folder; check each against Keras."""

    def __init__(self, model: keras.Model, folder: Path):
        self._model, self._folder, self._rows = model, folder, []
        self._latents = seed_latents(SEEDS, model.inputs[0].shape[-1])
        with full_float32():
            self._expected = in_tensorflow(model)(self._latents)

    def add(self, name: str, prefix: str = ""):
        """Write one of `FORMATS`, at a path that begins with `prefix`; check and time it."""
        form: Format = FORMATS[name]
        path = self._folder / f"{prefix}{form.file}"
        with refusing(form.title):
            form.write(self._model, path)
            forward = form.load(path)
            difference = self._difference(forward)
        if not difference <= TOLERANCE:  # NaN, too
            raise UserError(
                f"{form.title}: its images differ from those of Keras by up to {difference:.3g} "
                f"gray levels of 255, {TOLERANCE} at most; it was not written"
            )
        together = _milliseconds(forward, self._latents)
        forward(self._latents[:1])  # the first call with another number of latents prepares
        alone = _milliseconds(forward, self._latents[:1])
        files = filter(Path.is_file, (path, *path.rglob("*")))
        size = sum(file.stat().st_size for file in files)
        off = f"{difference:.1e}" if difference else "0"
        cells = f"{size:,}", off, f"{alone:.2f}", f"{together:.2f}"
        self._rows.append((f"{prefix}{form.file}", *cells))

    def _difference(self, forward):
        """The largest difference of the images, in gray levels."""
        with full_float32():
            images = np.asarray(forward(self._latents))
        if images.shape != self._expected.shape:
            return np.inf
        levels = 255.0 if range_of(self._model) == "sigmoid" else 127.5
        return float(np.abs(images - self._expected).max() * levels)

    def table(self) -> str:
        """File, bytes, largest difference from Keras, milliseconds per image."""
        heads = ("", "bytes", "gray levels off", "ms, 1 alone", f"ms, of {len(SEEDS)}")
        width = max(len(file) for file, *_ in self._rows)
        return "\n".join(
            f"{file:{width}}  " + "".join(f"{cell:>17}" for cell in cells)
            for file, *cells in [heads, *self._rows]
        )


def _milliseconds(forward, latents):
    """The median time of a call, per image."""
    times, end = [], time.perf_counter() + SECONDS
    while not times or (len(times) < CALLS and time.perf_counter() < end):
        start = time.perf_counter()
        forward(latents)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times) / len(latents)
