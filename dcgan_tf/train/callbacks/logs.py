"""Keras callbacks for what a person sees of a run: one artefact each.

A training that was killed goes on from its last checkpoint and passes the same epoch ends again;
whatever a callback writes is then replaced by the same content.
"""

import logging
import sys
import time

import keras
import numpy as np
import psutil
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from dcgan_tf.common.files import read_lines, write_lines
from dcgan_tf.metrics import collapse
from dcgan_tf.models.sampling import CHUNK, seed_latents

log = logging.getLogger(__name__)


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
            losses = {name: f"{float(logs[name]):.3f}" for name in ("d_loss", "g_loss")}
            self._bar.set_postfix(losses, refresh=False)
            self._bar.update(self._batch_size)

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()


class MetricsLog(keras.callbacks.Callback):
    """metrics.jsonl and timing.jsonl, one line an epoch, and a line for the person who watches."""

    def __init__(self, run, journal, batch_size, epochs, sampler, diversity):
        super().__init__()
        self._run, self._journal, self._diversity = run, journal, diversity
        self._sampler = sampler
        self._latents = seed_latents(range(CHUNK), sampler.latent_dim)  # one pass through G
        self._batch_size, self._epochs = batch_size, epochs
        self._started, self._first_step = 0.0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._started, self._first_step = time.perf_counter(), self._journal.step

    def on_epoch_end(self, epoch, logs=None):
        images = self._journal.step * self._batch_size
        record = {"epoch": epoch + 1, "step": self._journal.step, "images_seen": images}
        names = ("d_loss", "g_loss", "d_real", "d_fake")
        record |= {name: round(float(logs[name]), 6) for name in names}
        pictures = self._sampler.array(self._latents)
        record["diversity"] = round(self._diversity.measure(pictures), 6)
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
        log.info(
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
    """Warns of a collapse and of a saturated D, at the first epoch of each."""

    def __init__(self, journal, certainty):
        super().__init__()
        self._journal, self._certainty = journal, certainty

    def on_epoch_end(self, epoch, logs=None):
        history = self._journal.history
        for kind, first in collapse.troubles(history, self._certainty).items():
            if first == epoch + 1:
                log.warning(collapse.warning(kind, history, first))


class TensorBoardLog(keras.callbacks.Callback):
    """Scalars after each epoch, and the sample grids that were written."""

    def __init__(self, run, journal):
        super().__init__()
        self._run, self._journal = run, journal
        self._writer = tf.summary.create_file_writer(str(run.tensorboard))

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
            tf.summary.scalar("diversity", self._journal.history[-1]["diversity"])
            sample = self._run.sample(epoch + 1)
            if sample.exists():
                with Image.open(sample) as image:
                    tf.summary.image("samples", np.asarray(image.convert("RGB"))[None])
        self._writer.flush()
