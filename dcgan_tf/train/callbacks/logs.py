"""Keras callbacks for what a person sees of a run: one artefact each.

A training that was killed goes on from its last checkpoint and passes the same epoch ends again;
whatever a callback writes is then replaced by the same content.
"""

import gc
import math
import sys
import time

import keras
import matplotlib.figure
import numpy as np
import psutil
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from dcgan_tf.common.images import GAP, grid, save_gif, save_png
from dcgan_tf.common.runs import read_lines, replacing, write_lines
from dcgan_tf.metrics import collapse as health
from dcgan_tf.models.sampling import seed_latents

GIF_SIDE = 300  # pixels, at most
PLOT_SECONDS = 5  # drawing takes a third of a second: in short epochs not after each one


def scalar(value):
    """float: of a tensor with one element, whatever its shape."""
    return float(np.ravel(value)[0])


class ProgressBar(keras.callbacks.Callback):
    """One bar per epoch on a terminal, with both losses and images per second."""

    def __init__(self, journal, batch_size, epochs):
        super().__init__()
        self._journal, self._batch_size, self._epochs = journal, batch_size, epochs
        self._bar = None

    def on_epoch_begin(self, epoch, logs=None):
        done = self._journal.step % self._journal.steps_per_epoch
        self._bar = tqdm(
            desc=f"epoch {epoch + 1}/{self._epochs}",
            total=self._journal.steps_per_epoch * self._batch_size,
            initial=done * self._batch_size,
            unit="img",
            leave=False,
            disable=None,  # only on a terminal
        )

    def on_train_batch_end(self, batch, logs=None):
        if not self._bar.disable:
            losses = {name: f"{scalar(logs[name]):.3f}" for name in ("d_loss", "g_loss")}
            self._bar.set_postfix(losses, refresh=False)
            self._bar.update(self._batch_size)

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()


class MetricsLog(keras.callbacks.Callback):
    """metrics.jsonl and timing.jsonl, one line an epoch, and a line for the person who watches."""

    def __init__(self, run, journal, batch_size, epochs, diversity):
        super().__init__()
        self._run, self._journal, self._diversity = run, journal, diversity
        self._batch_size, self._epochs = batch_size, epochs
        self._started, self._first_step = 0.0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._started, self._first_step = time.perf_counter(), self._journal.step

    def on_epoch_end(self, epoch, logs=None):
        images = self._journal.step * self._batch_size
        record = {"epoch": epoch + 1, "step": self._journal.step, "images_seen": images}
        names = ("d_loss", "g_loss", "d_real", "d_fake")
        record |= {name: round(scalar(logs[name]), 6) for name in names}
        record["diversity"] = round(self._diversity.measure(), 6)
        self._journal.history.append(record)
        write_lines(self._run.metrics, self._journal.history)
        self._write_timing(epoch, record)

    def _write_timing(self, epoch, record):
        seconds = time.perf_counter() - self._started
        speed = (self._journal.step - self._first_step) * self._batch_size / seconds
        timing = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 3),
            "images_per_second": round(speed, 2),
            "peak_memory_mb": round(peak_memory() / 2**20, 1),
        }
        earlier = [line for line in read_lines(self._run.timing) if line["epoch"] <= epoch]
        write_lines(self._run.timing, [*earlier, timing])
        self._run.say(
            f"epoch {epoch + 1}/{self._epochs}  d_loss {record['d_loss']:.3f}  "
            f"g_loss {record['g_loss']:.3f}  D(real) {record['d_real']:.2f}  "
            f"D(fake) {record['d_fake']:.2f}  {speed:.0f} images/s"
        )


def peak_memory():
    """int: the most that this process, or its GPU, has held at once, in bytes."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_memory_info(gpus[0].name.replace("/device:", ""))["peak"]
    try:
        import resource  # not on Windows
    except ImportError:
        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Troubles(keras.callbacks.Callback):
    """Warns of a collapse and of a saturated D, once in the life of a run."""

    def __init__(self, run, journal, certainty):
        super().__init__()
        self._run, self._journal, self._certainty = run, journal, certainty

    def on_epoch_end(self, epoch, logs=None):
        history = self._journal.history
        for kind, first in health.troubles(history, self._certainty).items():
            if first == epoch + 1:
                text = health.warning(kind, history, first)
                if text not in self._run.log.read_text(encoding="utf-8"):  # said before a kill
                    self._run.say(text)


class SampleGrid(keras.callbacks.Callback):
    """Pictures of seeds 0, 1, ... after every k epochs: what `generate.py` makes of these seeds."""

    def __init__(self, run, sampler, count, every, epochs):
        super().__init__()
        self._run, self._sampler = run, sampler
        self._latents = seed_latents(range(count), sampler.latent_dim)
        self._every, self._epochs = every, epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0 or epoch + 1 == self._epochs:
            pictures = grid(self._sampler.array(self._latents))
            save_png(self._run.sample(epoch + 1), pictures, {"epoch": epoch + 1})


class LossPlot(keras.callbacks.Callback):
    """losses.png: d_loss and g_loss over the epochs, redrawn while training goes on."""

    def __init__(self, run, journal, title, epochs, certainty):
        super().__init__()
        self._run, self._journal = run, journal
        self._title, self._epochs, self._certainty = title, epochs, certainty
        self._drawn = -math.inf

    def on_epoch_end(self, epoch, logs=None):
        if time.monotonic() - self._drawn > PLOT_SECONDS or epoch + 1 == self._epochs:
            self._draw()
            self._drawn = time.monotonic()

    def _draw(self):
        history = self._journal.history
        epochs = [record["epoch"] for record in history]
        # A figure of its own, not pyplot's, which keeps a global state and wants a main thread.
        figure = matplotlib.figure.Figure(figsize=(8, 6.5), layout="constrained")
        losses, beliefs = figure.subplots(2, sharex=True, height_ratios=(3, 2))
        style = {"marker": "."} if len(epochs) < 30 else {}
        losses.plot(epochs, [r["d_loss"] for r in history], label="d_loss", **style)
        losses.plot(epochs, [r["g_loss"] for r in history], label="g_loss", **style)
        losses.axhline(math.log(2), color="grey", linestyle=":", label="ln 2: D only guesses")
        losses.set(title=self._title, ylabel="loss, mean over the epoch (nats)")
        losses.set_ylim(bottom=0)
        beliefs.plot(epochs, [r["d_real"] for r in history], color="C2", label="of reals", **style)
        beliefs.plot(epochs, [r["d_fake"] for r in history], color="C3", label="of fakes", **style)
        beliefs.set(xlabel="epoch", ylabel='D says "real"', ylim=(0, 1))
        beliefs.xaxis.get_major_locator().set_params(integer=True)
        marks = health.troubles(history, self._certainty)
        for color, (kind, epoch) in zip(("C4", "C5"), marks.items(), strict=False):
            losses.axvline(epoch, color=color, linestyle="--", label=f"{kind}, epoch {epoch}")
            beliefs.axvline(epoch, color=color, linestyle="--")
        for axes in (losses, beliefs):
            axes.grid(alpha=0.3)
            axes.legend(loc="upper right")
        with replacing(self._run.losses) as temporary:
            figure.savefig(temporary, dpi=100)
        # A figure is half a megabyte of circular references; Python would let dozens pile up.
        del figure, losses, beliefs, axes
        gc.collect()


class ProgressGif(keras.callbacks.Callback):
    """progress.gif: the sample grids so far, after 1, 2, 4, 8, ... epochs and after the last.

    Each writing takes as long as there are grids; doubling keeps the sum of them small. Of large
    grids only the corner is shown, so that the file fits into a page.

    Args:
        image_size: side of one picture in the grids, pixels.
    """

    def __init__(self, run, epochs, image_size):
        super().__init__()
        self._run, self._epochs = run, epochs
        step = image_size + GAP
        self._side = max(GIF_SIDE // step, 1) * step - GAP

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        if done & (done - 1) == 0 or done >= self._epochs:
            self._write(done)

    def _write(self, done):
        frames = []
        for path in self._run.sample_files():
            if int(path.stem[6:]) <= done:  # none of an epoch that has to be done again
                with Image.open(path) as image:
                    corner = (min(self._side, image.width), min(self._side, image.height))
                    frames.append(image.crop((0, 0, *corner)))
        if frames:  # a changed --sample-count changes the size: keep those like the last
            save_gif(self._run.progress, [f for f in frames if f.size == frames[-1].size])


class TensorBoardLog(keras.callbacks.Callback):
    """Scalars after each epoch, and the sample grids that were written."""

    def __init__(self, run, journal):
        super().__init__()
        self._run, self._journal = run, journal
        self._writer = tf.summary.create_file_writer(str(run.tensorboard))

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(name, scalar(value))
            tf.summary.scalar("diversity", self._journal.history[-1]["diversity"])
            sample = self._run.sample(epoch + 1)
            if sample.exists():
                with Image.open(sample) as image:
                    tf.summary.image("samples", np.asarray(image.convert("RGB"))[None])
        self._writer.flush()
