"""Progress bar and time estimate of a training."""

import logging
import shutil
import sys
import time

from tqdm import tqdm

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.progress import EVERY, duration
from dcgan_tf.train.callbacks.base import GANCallback
from dcgan_tf.train.callbacks.control import StepCounter

log = logging.getLogger(__name__)

ESTIMATE = 30.0  # seconds of training after which its length can be estimated
COLUMNS = 80


class ProgressBar(GANCallback):
    """Show a bar for each epoch on a terminal; elsewhere, and in log.txt, a line about a minute.

    After half a minute a line says how long the whole training will take.
    """

    def __init__(self, journal: Journal, counter: StepCounter):
        super().__init__()
        self._journal, self._counter = journal, counter
        self._began, self._first = None, 0  # TensorFlow still compiles in the first step
        self._bar, self._next = None, ESTIMATE

    @property
    def seconds(self) -> float:
        """Seconds since the first step of this process."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def images_per_second(self) -> float:
        """Speed with all that is done between the steps; 0 as long as it is not known."""
        done = 0 if self._began is None else self._journal.step - self._first
        return done * self.model.batch_size / max(self.seconds, 1e-9)

    @property
    def left(self) -> str:
        """The time left in words, "" as long as it is not known and after the last step."""
        steps = self.params["epochs"] * self._journal.steps_per_epoch - self._journal.step
        speed = self.images_per_second
        return f"{duration(steps * self.model.batch_size / speed)} left" if speed and steps else ""

    def on_epoch_begin(self, epoch, logs=None):
        self._name = f"epoch {epoch + 1}/{self.params['epochs']}"
        if sys.stderr is None or sys.stderr.closed or not sys.stderr.isatty():
            return
        self._bar = tqdm(
            desc=self._name,
            total=self._journal.steps_per_epoch,
            initial=self._journal.done_in_epoch,
            leave=False,
            ncols=min(COLUMNS, shutil.get_terminal_size().columns) - 1,
            bar_format="{desc} {bar} {percentage:.0f}%{unit}",  # unit: a text of ours
            unit="",
        )

    def on_train_batch_end(self, batch, logs: dict):
        if self._began is None:
            self._began, self._first = time.monotonic(), self._journal.step
        if self._bar is not None:
            if self._counter.now:
                losses = f"D {float(logs['d_loss']):.2f} G {float(logs['g_loss']):.2f}"
                speed = self.images_per_second
                parts = f"{speed:.0f} img/s" if speed else "", losses, self.left
                self._bar.unit = "".join(f"  {part}" for part in parts if part)
            self._bar.update()
        if self._counter.now and self.seconds >= self._next and self.left:
            self._log_estimate(logs)

    def _log_estimate(self, logs):
        speed = f"{self.images_per_second:.0f} images/s"
        if self._next == ESTIMATE:
            log.info(f"about {self.left} ({speed})")
        else:
            share = self._journal.done_in_epoch / self._journal.steps_per_epoch
            losses = f"d_loss {float(logs['d_loss']):.3f}  g_loss {float(logs['g_loss']):.3f}"
            level = logging.INFO if self._bar is None else logging.DEBUG
            log.log(level, f"{self._name} {share:.0%}  {speed}  {losses}  {self.left}")
        self._next = self.seconds + EVERY

    def on_train_end(self, logs=None):
        if self._bar is not None:  # a user's callback may have ended it within an epoch
            self._bar.close()

    def on_epoch_end(self, epoch, logs=None):
        if self._next > ESTIMATE:  # MetricsLog says how long it still takes
            self._next = self.seconds + EVERY
        if self._bar is not None:
            self._bar.close()
