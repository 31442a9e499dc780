"""Callbacks that record a run for people: one artifact each.

A training that was killed goes on from its last checkpoint and passes the same epoch ends again;
whatever a callback writes is then replaced by the same content.
"""

import dataclasses
import logging
import sys
import time

import keras
import psutil
import tensorflow as tf

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config_file import without_places
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.metrics import collapse
from dcgan_tf.models.sampling import CHUNK, seed_latents
from dcgan_tf.train.callbacks.periodic_image import attempt

log = logging.getLogger(__name__)


def epoch_record(epoch, step, batch_size, logs):
    """dict: what metrics.jsonl says of an epoch, which is counted from 0."""
    record = {"epoch": epoch + 1, "step": step, "images_seen": step * batch_size}
    names = ("d_loss", "g_loss", "d_real", "d_fake")
    return record | {name: round(float(logs[name]), 6) for name in names}


class MetricsLog(keras.callbacks.Callback):
    """metrics.jsonl and timing.jsonl, one line an epoch, and a line for the person who watches.

    It adds the epoch's record to `journal.history`, from which TrainingWarnings, LossPlot,
    TensorBoardLog and Checkpoint take it: they come after it.

    Args:
        run: runs.Run; journal: checkpoints.Journal; pace: progress.Pace.
        epochs: of the whole training.
        diversity: collapse.Diversity of the data.
        grids: the SampleGrid that comes before this callback.
    """

    def __init__(self, run, journal, pace, epochs: int, diversity, grids):
        super().__init__()
        self._run, self._journal, self._pace = run, journal, pace
        self._epochs, self._diversity, self._grids = epochs, diversity, grids
        self._started, self._first_step = 0.0, 0

    def on_train_begin(self, logs=None):
        # One pass through G.
        self._latents = seed_latents(range(CHUNK), self.model.sampler.latent_dim)

    def on_epoch_begin(self, epoch, logs=None):
        self._started, self._first_step = time.perf_counter(), self._journal.step

    def on_epoch_end(self, epoch, logs=None):
        record = epoch_record(epoch, self._journal.step, self.model.batch_size, logs)
        record |= self._diversity.measure(self._pictures(epoch))
        self._journal.history.append(record)
        write_lines(self._run.metrics, self._journal.history)
        speed = self._write_timing(epoch)
        left = f"  {self._pace.left} to go" if self._pace.left else ""
        log.info(
            f"epoch {epoch + 1}/{self._epochs}  d_loss {record['d_loss']:.3f}  "
            f"g_loss {record['g_loss']:.3f}  D(real) {record['d_real']:.2f}  "
            f"D(fake) {record['d_fake']:.2f}  {speed:.0f} images/s{left}"
        )

    def _pictures(self, epoch):
        """uint8 (CHUNK, ...): of seeds 0, 1, ...; from the epoch's grid where it has so many."""
        drawn, pictures = self._grids.drawn or (None, ())
        if drawn == epoch and len(pictures) >= CHUNK:
            return pictures[:CHUNK]
        return self.model.sampler.array(self._latents)

    def _write_timing(self, epoch):
        """Add or replace the epoch's line.

        Returns:
            float: images per second.
        """
        seconds = time.perf_counter() - self._started
        speed = (self._journal.step - self._first_step) * self.model.batch_size / seconds
        timing = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 3),
            "images_per_second": round(speed, 2),
            "peak_memory_mb": round(peak_memory() / 2**20, 1),
        }
        earlier = [
            line for line in read_lines(self._run.timing) if line.get("epoch") in range(epoch + 1)
        ]
        write_lines(self._run.timing, [*earlier, timing])
        return speed


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


class TrainingWarnings(keras.callbacks.Callback):
    """Warns of a collapse, noise and a saturated D, at the first epoch of each."""

    def __init__(self, journal, certainty):
        super().__init__()
        self._journal, self._certainty = journal, certainty

    def on_epoch_end(self, epoch, logs=None):
        history = self._journal.history
        for kind, first in collapse.troubles(history, self._certainty).items():
            if first == epoch + 1:
                log.warning(collapse.warning(kind, history, first))


def _hyperparameters(config):
    """dict: the settings as TensorBoard takes them, without where things lie on this machine."""
    values = dataclasses.asdict(without_places(config))
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name not in ("data", "packs", "inception")
    }


class TensorBoardLog(keras.callbacks.Callback):
    """Scalars after each epoch, and the settings for the tab HPARAMS; the pictures are in samples/
    and need no second copy.

    Args:
        folder: Path; journal: checkpoints.Journal.
        config: config.Config, or None for no settings.
    """

    def __init__(self, folder, journal, config=None):
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
        if self._config is None:
            return
        from tensorboard.plugins.hparams.api import hparams  # a second that only this needs

        self._write(0, lambda: hparams(_hyperparameters(self._config)))

    def on_epoch_end(self, epoch, logs=None):
        last = self._journal.history[-1]
        values = logs | {name: last[name] for name in ("diversity", "roughness")}
        self._write(
            epoch + 1,
            lambda: [tf.summary.scalar(name, value) for name, value in values.items()],
        )
