"""Callbacks that record a run for people: one artifact each.

A training that was killed resumes from its last checkpoint and passes the same epoch ends again;
whatever a callback writes is then replaced by the same content.
"""

import dataclasses
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import tensorflow as tf

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import without_places
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.metrics import collapse
from dcgan_tf.models.sampling import CHUNK, seed_latents
from dcgan_tf.train.callbacks.base import GANCallback, attempt
from dcgan_tf.train.callbacks.control import StepCounter
from dcgan_tf.train.callbacks.loss_plot import Curve, epoch_record
from dcgan_tf.train.callbacks.progress import ProgressBar

log = logging.getLogger(__name__)


class MetricsLog(GANCallback):
    """metrics.jsonl and timing.jsonl, one line for each epoch, and a line on the screen.

    It alone records into the journal: the losses within epochs into `curve`, the epoch's record
    into `history`.

    Args:
        progress: the ProgressBar, which knows the time left.
        diversity: of the data; its measure of 32 samples is part of the record.
    """

    def __init__(
        self,
        run: Run,
        journal: Journal,
        counter: StepCounter,
        progress: ProgressBar,
        diversity: collapse.Diversity,
    ):
        super().__init__()
        self._run, self._journal, self._counter, self._progress = run, journal, counter, progress
        self._diversity, self._curve = diversity, Curve(journal)
        self._started, self._first_step = 0.0, 0

    def on_train_begin(self, logs=None):
        # One pass through G.
        self._latents = seed_latents(range(CHUNK), self.model.sampler.latent_dim)

    def on_epoch_begin(self, epoch, logs=None):
        self._started, self._first_step = time.perf_counter(), self._journal.step

    def on_train_batch_end(self, batch, logs: dict):
        self._curve.add(logs)
        if self._counter.now:
            self._curve.read()

    def on_epoch_end(self, epoch, logs: dict):
        self._curve.end_epoch(logs)
        record = epoch_record(epoch, self._journal.step, self.model.batch_size, logs)
        record |= self._diversity.measure(self.model.sampler.array(self._latents))
        self._journal.history.append(record)
        write_lines(self._run.metrics, self._journal.history)
        parts = [
            f"epoch {epoch + 1}/{self.params['epochs']}  d_loss {record['d_loss']:.3f}",
            f"g_loss {record['g_loss']:.3f}  D(real) {record['d_real']:.2f}",
            f"D(fake) {record['d_fake']:.2f}  {self._write_timing(epoch):.0f} images/s",
            self._progress.left,
        ]
        log.info("  ".join(filter(None, parts)))

    def _write_timing(self, epoch) -> float:
        """Add or replace the epoch's line; return the images per second."""
        seconds = time.perf_counter() - self._started
        speed = (self._journal.step - self._first_step) * self.model.batch_size / seconds
        timing = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 3),
            "images_per_second": round(speed, 2),
            "peak_memory_mb": round(peak_memory() / 2**20, 1),
        }
        known = [t for t in read_lines(self._run.timing) if t.get("epoch") in range(epoch + 1)]
        write_lines(self._run.timing, [*known, timing])
        return speed


def peak_memory() -> int:
    """The most that this process, or its GPU, has held at once, in bytes."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_memory_info(gpus[0].name.replace("/device:", ""))["peak"]
    try:
        import resource  # not on Windows
    except ImportError:
        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class TrainingWarnings(GANCallback):
    """Warns of a collapse, noise and a saturated D, at the first epoch of each."""

    def __init__(self, journal: Journal, certainty: Callable[[int], float]):
        super().__init__()
        self._journal, self._certainty = journal, certainty

    def on_epoch_end(self, epoch, logs=None):
        history = self._journal.history
        for kind, first in collapse.troubles(history, self._certainty).items():
            if first == epoch + 1:
                log.warning(collapse.warning(kind, history, first))


class TensorBoardLog(GANCallback):
    """Scalars after each epoch, and the settings for the tab HPARAMS."""

    def __init__(self, folder: Path, journal: Journal, config: Config):
        super().__init__()
        self._folder, self._journal, self._config = folder, journal, config
        self._writer = None

    def _write(self, step, scalars):
        with attempt(self._folder):
            self._writer = self._writer or tf.summary.create_file_writer(str(self._folder))
            with self._writer.as_default(step=step):
                scalars()
            self._writer.flush()

    def on_train_begin(self, logs=None):
        from tensorboard.plugins.hparams.api import hparams  # a second that only this needs

        self._write(0, lambda: hparams(_hyperparameters(self._config)))

    def on_epoch_end(self, epoch, logs: dict):
        last = self._journal.history[-1]
        values = logs | {name: last[name] for name in ("diversity", "roughness")}
        self._write(
            epoch + 1,
            lambda: [tf.summary.scalar(name, value) for name, value in values.items()],
        )


def _hyperparameters(config) -> dict:
    """The settings as TensorBoard takes them, without where things lie on this machine."""
    values = dataclasses.asdict(without_places(config))
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name not in ("data", "packs", "inception")
    }
