"""Write a generator in each format, check and time it, publish one folder."""

import contextlib
import logging
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from dcgan_tf.common.atomic_write import new_folder
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory, next_directory
from dcgan_tf.common.pretrained import home_of
from dcgan_tf.common.progress import progress
from dcgan_tf.export.command import HUB, ExportRequest
from dcgan_tf.export.formats import FORMATS, Format, Forward, in_tensorflow, refusing
from dcgan_tf.export.hub import Hub
from dcgan_tf.metrics.features import full_float32
from dcgan_tf.models.loading import in_float32, load_generator
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import seed_latents

log = logging.getLogger(__name__)

SEEDS = range(64)  # whose pictures are compared
TOLERANCE = 0.05  # grey levels of 255 that a format may differ; other sums differ by a hundredth
CALLS, SECONDS = 30, 1.0  # that a format is timed for at most, or one call


@dataclass(frozen=True)
class Row:
    """What the table says of one format.

    Attributes:
        file: what was written; size: bytes; difference: the largest from Keras, grey levels;
        alone, together: milliseconds per picture, one at a time and `SEEDS` at once.
    """

    file: str
    size: int
    difference: float
    alone: float
    together: float


def export(request: ExportRequest) -> Path:
    """Write what is asked for as one folder, whole or not at all, and say what is in it.

    Returns:
        The folder.

    Raises:
        UserError: no generator, a package that is missing, a format that cannot hold it or makes
            other pictures than Keras; nothing is written then.
    """
    for name in request.to:
        if name != HUB and (why := FORMATS[name].missing()):
            raise UserError(why, flag=f"--to {name}")
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    hub = Hub(request, sampler) if HUB in request.to else None
    with _place(request) as out, new_folder(out) as folder:
        exporter, rows = Exporter(in_float32(sampler.model)), []
        with progress(len(request.to), "exporting", "formats") as bar:
            for name in request.to:
                if name == HUB:
                    rows += hub.write(exporter, folder / HUB)
                else:
                    rows.append(exporter.add(FORMATS[name], folder))
                bar.update()
    log.info(table(rows))
    log.info(f"wrote {out}")
    return out


@contextlib.contextmanager
def _place(request):
    """The folder to be filled, made with its parents; taken away again where the block fails."""
    if request.out is None:
        made = make_directory(home_of(request.model) / "exported", "--model")
        out = next_directory(home_of(request.model) / "exported")
        made.append(out)
    else:
        out, made = request.out, make_directory(request.out, "--out")
    try:
        yield out
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):  # of a folder that another program uses by now
                path.rmdir()
        raise


class Exporter:
    """Writes one generator in formats, each checked against what Keras makes of it.

    Args:
        model: keras.Model in float32.
    """

    def __init__(self, model: keras.Model):
        self._model, self._done = model, {}
        self._latents = seed_latents(SEEDS, model.inputs[0].shape[-1])
        with full_float32():
            self._expected = in_tensorflow(model)(self._latents)
        # Grey levels of a whole range: 1 for a sigmoid, 2 for a tanh.
        self._levels = 255.0 if range_of(model) == "sigmoid" else 127.5

    def add(self, form: Format, folder: Path) -> Row:
        """Write one format into a folder that is there, and measure it.

        A file that was written before is copied.

        Raises:
            UserError: it cannot hold the generator, or makes other pictures.
        """
        path = folder / form.file
        if form in self._done:
            row, earlier = self._done[form]
            shutil.copyfile(earlier, path)
            return row
        with refusing(form.title):
            form.write(self._model, path)
            forward = form.load(path)
            difference = self._difference(forward)
        if not difference <= TOLERANCE:  # NaN, too
            raise UserError(
                f"{form.title}: its pictures differ from those of Keras by up to {difference:.3g} "
                f"grey levels of 255, {TOLERANCE} at most; it was not written"
            )
        together = _milliseconds(forward, self._latents)
        forward(self._latents[:1])  # the first call with another number prepares
        alone = _milliseconds(forward, self._latents[:1])
        row = Row(form.file, _size(path), difference, alone, together)
        self._done[form] = row, path
        return row

    def _difference(self, forward):
        """float: the largest difference of the pictures, in grey levels."""
        with full_float32():
            pictures = np.asarray(forward(self._latents))
        if pictures.shape != self._expected.shape:
            return np.inf
        return float(np.abs(pictures - self._expected).max() * self._levels)


def _milliseconds(forward: Forward, latents):
    """float: the median time of a call, per picture."""
    times, end = [], time.perf_counter() + SECONDS
    while not times or (len(times) < CALLS and time.perf_counter() < end):
        start = time.perf_counter()
        forward(latents)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times) / len(latents)


def _size(path):
    """int: bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def table(rows: list[Row]) -> str:
    """The rows in words."""
    heads = ("", "bytes", "grey levels off", "ms, 1 alone", f"ms, of {len(SEEDS)}")
    cells = [
        (
            row.file,
            f"{row.size:,}",
            f"{row.difference:.1e}" if row.difference else "0",
            f"{row.alone:.2f}",
            f"{row.together:.2f}",
        )
        for row in rows
    ]
    width = max(len(row.file) for row in rows)
    return "\n".join(
        f"{name:{width}}  " + "".join(f"{cell:>17}" for cell in more)
        for name, *more in [heads, *cells]
    )
