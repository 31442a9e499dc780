"""Progress bar and time estimate of a training."""

import logging
import sys
import time

from tqdm import tqdm

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.progress import EVERY, duration
from dcgan_tf.train.callbacks.base import GANCallback
from dcgan_tf.train.callbacks.control import SyncSchedule

log = logging.getLogger(__name__)

ESTIMATE = 30.0  # seconds of training after which its length can be told


class Pace:
    """The speed since the second step of this process, and the time that the other steps will take.

    The first step does not count: TensorFlow still compiles in it.

    Args:
        epochs: of the whole training.
    """

    def __init__(self, journal: Journal, batch_size: int, epochs: int):
        self._journal, self._batch_size, self._epochs = journal, batch_size, epochs
        self._began, self._first = None, 0

    def count_step(self):
        """Take note of the first step; called after every step, when the journal has counted it."""
        if self._began is None:
            self._began, self._first = time.monotonic(), self._journal.step

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def images_per_second(self) -> float:
        """With all that is done between the steps; 0 as long as it is not known."""
        done = 0 if self._began is None else self._journal.step - self._first
        return done * self._batch_size / max(self.seconds, 1e-9)

    @property
    def left(self) -> str:
        """The time to go in words, "" as long as it is not known and after the last step."""
        steps = self._epochs * self._journal.steps_per_epoch - self._journal.step
        speed = self.images_per_second
        return duration(steps * self._batch_size / speed) if speed and steps > 0 else ""


class ProgressBar(GANCallback):
    """One bar for each epoch on a terminal; elsewhere, and in log.txt, a line about once a minute.

    After half a minute one line everywhere says how long the whole training will take. The losses
    are read when `sync` says so.
    """

    def __init__(
        self, journal: Journal, pace: Pace, batch_size: int, epochs: int, sync: SyncSchedule
    ):
        super().__init__()
        self._journal, self._pace, self._sync = journal, pace, sync
        self._batch_size, self._epochs = batch_size, epochs
        self._bar, self._next = None, ESTIMATE

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        if sys.stderr is None or sys.stderr.closed or not sys.stderr.isatty():
            return
        done = self._journal.step % self._journal.steps_per_epoch
        self._bar = tqdm(
            desc=f"epoch {epoch + 1}/{self._epochs}",
            total=self._journal.steps_per_epoch * self._batch_size,
            initial=done * self._batch_size,
            unit="img",
            leave=False,
        )

    def on_train_batch_end(self, batch, logs: dict):
        self._pace.count_step()
        if self._bar is not None:
            if self._sync.now:
                losses = {name: f"{float(logs[name]):.3f}" for name in ("d_loss", "g_loss")}
                losses |= {"to go": left} if (left := self._pace.left) else {}
                self._bar.set_postfix(losses, refresh=False)
            self._bar.update(self._batch_size)
        if self._sync.now and self._pace.seconds >= self._next and self._pace.left:
            self._log_estimate(logs)

    def _log_estimate(self, logs):
        """The first one everywhere, later ones where there is no bar, and in log.txt."""
        speed = f"{self._pace.images_per_second:.0f} images/s"
        if self._next == ESTIMATE:
            log.info(f"about {self._pace.left} to go ({speed})")
        else:
            done = self._journal.step % self._journal.steps_per_epoch
            log.log(
                logging.INFO if self._bar is None else logging.DEBUG,
                f"epoch {self._epoch + 1}/{self._epochs}, "
                f"{100 * done // self._journal.steps_per_epoch}% of it  "
                f"d_loss {float(logs['d_loss']):.3f}  g_loss {float(logs['g_loss']):.3f}  "
                f"{speed}  {self._pace.left} to go",
            )
        self._next = self._pace.seconds + EVERY

    def on_epoch_end(self, epoch, logs=None):
        if self._next > ESTIMATE:  # MetricsLog says how long it still takes
            self._next = self._pace.seconds + EVERY
        if self._bar is not None:
            self._bar.close()
