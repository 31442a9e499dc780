"""Keras callbacks that steer a run: counting, learning rates, NaN, stopping."""

import math
import time

import keras
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import DIVERGED, UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.models.optimizers import learning_rate_of
from dcgan_tf.train import changes
from dcgan_tf.train.callbacks.base import GANCallback, PeriodicImage
from dcgan_tf.train.signals import StopRequest


class CallbackList(keras.callbacks.CallbackList):
    """Gives a step's logs to the callbacks as they are: tensors, which `float` reads.

    Keras' own reads all of them after every step, and so waits until the device has done it.
    """

    def on_train_batch_end(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


class SyncSchedule:
    """Decides after which steps values are read from the device, which makes the host wait.

    One process reads once a second, when it is asked to stop, and where a number of steps asks for
    a checkpoint. Several workers have to read after the same steps: every fourth.

    Args:
        every: config.checkpoint_steps, 0 for none.
        workers: how many processes train together.

    Attributes:
        now: whether the step that was just done is one of them.
    """

    SECONDS, STEPS = 1.0, 4

    def __init__(self, every: int, workers: int):
        self.now = False
        self._every, self._workers, self._last = every, workers, -math.inf

    def count(self, step: int, asked_to_stop: bool):
        """Decide about a step; StepCounter calls it before any other callback asks for `now`."""
        if self._workers > 1:
            self.now = step % self.STEPS == 0
        else:
            self.now = asked_to_stop or time.monotonic() - self._last >= self.SECONDS
        if self._every and step % self._every == 0:
            self.now = True
        if self.now:
            self._last = time.monotonic()


class LearningRates(GANCallback):
    """Sets the learning rates: at the start, and at the steps where a run changed them.

    Args:
        config: the newest settings.
        planned: the changes of earlier steps and of later ones (changes.py). A run that resumes
            before a change makes it again at its step.
    """

    def __init__(self, journal: Journal, config: Config, planned: list[changes.Change]):
        super().__init__()
        self._journal, self._config, self._planned = journal, config, planned

    def on_train_begin(self, logs=None):
        if self._planned:  # the model has the newest ones, or those of the checkpoint's last step
            self._set()

    def on_train_batch_begin(self, batch, logs=None):
        if any(change.step == self._journal.step for change in self._planned):
            self._set()
            if self._config.lr_decay != "none":  # a schedule is part of the compiled step
                self.model.make_train_function(force=True)

    def _set(self):
        now = changes.at(self._config, self._planned, self._journal.step)
        self.model.g_optimizer.learning_rate = learning_rate_of(now, now.g_learning_rate)
        self.model.d_optimizer.learning_rate = learning_rate_of(now, now.d_learning_rate)


class StepCounter(GANCallback):
    """Counts `journal.step`, asks `sync` and passes on a request to stop; other callbacks follow.

    Args:
        workers: how many processes train together.
    """

    def __init__(self, journal: Journal, stop: StopRequest, sync: SyncSchedule, workers: int):
        super().__init__()
        self._journal, self._stop, self._sync, self._workers = journal, stop, sync, workers

    def on_train_batch_end(self, batch, logs=None):
        self._journal.step += 1
        asked = bool(self._stop.signum)
        self._sync.count(self._journal.step, asked)
        if self._workers == 1:
            self._stop.agreed = asked
            return
        # The others hear of it in the next step, and all stop where they read next.
        if self._sync.now:
            self._stop.agreed = float(tf.convert_to_tensor(self.model.stop_wished)) > 0
        if asked:
            self.model.wants_stop.assign(1.0)


class StopAtNaN(GANCallback):
    """Ends training after a step whose loss is NaN or infinite, before anything of it is saved.

    The model keeps the first such step; this callback asks for it whenever values are read, so
    before all that is saved and at the end of each epoch. Every worker has it.
    """

    def __init__(self, run: Run, sync: SyncSchedule):
        super().__init__()
        self._run, self._sync = run, sync

    def on_train_batch_end(self, batch, logs=None):
        if self._sync.now:
            self._check()

    def on_epoch_end(self, epoch, logs=None):
        self._check()

    def _check(self):
        step, d_loss, g_loss = tf.convert_to_tensor(self.model.diverged).numpy().tolist()
        if step:
            what = f"the losses became NaN at step {step:.0f} (d_loss {d_loss}, g_loss {g_loss})"
            raise diverged(what, self._run, step - 1)  # whose weights gave these losses


def diverged(what: str, run: Run, end: int) -> UserError:
    """The error of a training whose checkpoints are good before step `end`."""
    paths = checkpoints.files(run.checkpoints)
    good = [path for path in paths if (checkpoints.step_of(path) or 0) < end]
    kept = f"the last good checkpoint is {good[-1]}" if good else "there is no checkpoint yet"
    advice = "try a smaller --g-learning-rate and --d-learning-rate in a new run"
    return UserError(f"{what}; {kept}; {advice}", code=DIVERGED)


class Stop(GANCallback):
    """Ends training when all workers have agreed to, with the images up to date; the last callback.

    Args:
        epochs: of the whole training.
        images: which are drawn after the checkpoint, so that not even a library that aborts costs
            more than a plot.
    """

    def __init__(
        self, journal: Journal, stop: StopRequest, epochs: int, images: list[PeriodicImage]
    ):
        super().__init__()
        self._journal, self._stop = journal, stop
        self._epochs, self._images = epochs, images

    def on_train_batch_end(self, batch, logs=None):
        if self._journal.step % self._journal.steps_per_epoch:  # else on_epoch_end comes next
            self._stop_if_agreed()

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 < self._epochs:
            self._stop_if_agreed()

    def _stop_if_agreed(self):
        if self._stop.agreed:
            for image in self._images:
                image.catch_up()
        self._stop.raise_if_agreed()
