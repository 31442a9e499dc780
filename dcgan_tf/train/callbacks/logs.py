"""Callbacks that record a run for people: lines, warnings, TensorBoard, trackers, the report.

A killed training resumes from its last checkpoint and passes the same epoch ends again; whatever a
callback writes is then replaced by the same content.
"""

import dataclasses
import logging
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import without_places
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.metrics import collapse
from dcgan_tf.models.sampling import CHUNK
from dcgan_tf.report.page import write_report
from dcgan_tf.train.callbacks.base import GANCallback, PeriodicImage, attempt
from dcgan_tf.train.callbacks.control import StepCounter
from dcgan_tf.train.callbacks.loss_plot import Curve, epoch_record
from dcgan_tf.train.callbacks.progress import ProgressBar

log = logging.getLogger(__name__)

PAGE_SECONDS = 20  # between two reports, and more if a page takes long to write


class MetricsLog(GANCallback):
    """Write a line for each epoch to metrics.jsonl, to timing.jsonl and on the screen.

    It alone records into the journal: the losses within epochs into `curve`, the record of an
    epoch, with the `diversity` of 32 samples, into `history`.
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
        self._latents = self.model.sampler.latents(range(CHUNK))

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
        line = (
            f"epoch {epoch + 1}/{self.params['epochs']}  d_loss {record['d_loss']:.3f}  "
            f"g_loss {record['g_loss']:.3f}  D(real) {record['d_real']:.2f}  "
            f"D(fake) {record['d_fake']:.2f}  {self._write_timing(epoch):.0f} images/s  "
        )
        log.info((line + self._progress.left).rstrip())

    def on_train_end(self, logs=None):
        self._curve.read()  # a user's callback may have ended it within an epoch

    def _write_timing(self, epoch) -> float:
        """Add or replace the epoch's line; return the images per second."""
        seconds, journal = time.perf_counter() - self._started, self._journal
        steps = journal.step - self._first_step
        speed = steps * self.model.batch_size / seconds
        if steps:  # of an interrupted epoch, what all of it takes at the speed since
            seconds *= (journal.step - epoch * journal.steps_per_epoch) / steps
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
    """Warn of a collapse, noise and a saturated D, at the first epoch of each."""

    def __init__(self, journal: Journal, certainty: float):
        super().__init__()
        self._journal, self._certainty = journal, certainty

    def on_epoch_end(self, epoch, logs=None):
        history = self._journal.history
        for kind, first in collapse.troubles(history, self._certainty).items():
            if first == epoch + 1:
                log.warning(collapse.warning(kind, history, first))


class TensorBoardLog(GANCallback):
    """Write scalars after each epoch, and the settings for the tab HPARAMS."""

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

        settings = {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(without_places(self._config)).items()
            if name not in ("data", "packs", "inception")
        }
        self._write(0, lambda: hparams(settings))

    def on_epoch_end(self, epoch, logs: dict):
        last = self._journal.history[-1]
        values = logs | {name: last[name] for name in ("diversity", "roughness")}
        self._write(
            epoch + 1,
            lambda: [tf.summary.scalar(name, value) for name, value in values.items()],
        )


class Tracker(GANCallback):
    """Send the logs of each epoch to wandb, or to trackio, which has the same three functions.

    A tracker that fails is a warning: the training goes on. A resume within an epoch fits twice,
    first to the end of that epoch; both are one record of the tracker.
    """

    def __init__(self, package: str, run: Run, config: Config):
        super().__init__()
        self._package, self._run, self._config = package, run, config
        self._begun, self._epoch = False, -1

    def on_train_begin(self, logs=None):
        if self._begun:
            return
        self._begun = True
        settings = dataclasses.asdict(without_places(self._config))
        self._call("init", project="dcgan_tf", name=self._run.root.resolve().name, config=settings)

    def on_epoch_end(self, epoch, logs: dict):
        self._epoch = epoch
        values = {name: float(np.squeeze(value)) for name, value in logs.items()}
        self._call("log", values, step=epoch + 1)

    def on_train_end(self, logs=None):
        if self.is_last(self._epoch) or self.model.stop_training:
            self._call("finish")

    def _call(self, function, *args, **kwargs):
        with attempt(Path(self._package)):
            getattr(import_module(self._package), function)(*args, **kwargs)


class RunReport(PeriodicImage):
    """Write report.html after each sample grid; the page reloads itself until training ends."""

    def __init__(self, run: Run):
        super().__init__(run.report)
        self._run = run

    def on_train_begin(self, logs=None):
        """Let the first grid have its page at once."""

    def on_epoch_end(self, epoch, logs=None):
        if sample_file(self._run.samples, epoch + 1).exists() and not self.is_last(epoch):
            self.redraw(PAGE_SECONDS)

    def draw(self):
        write_report((self._run,), self.path, running=True)

    def on_train_end(self, logs=None):
        """The command writes the final page."""
