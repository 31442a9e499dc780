"""Keras callbacks that steer a run: counting, saving, going on, stopping."""

import time

import keras
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.models.saving import save_network


class RestoreMeans(keras.callbacks.Callback):
    """Gives a broken-off epoch its means back, which Keras resets when it goes on with it.

    Args:
        state: of the checkpoint that training goes on from.
    """

    def __init__(self, journal, state):
        super().__init__()
        self._journal, self._state = journal, state

    def on_epoch_begin(self, epoch, logs=None):
        if self._state is not None and self._journal.step % self._journal.steps_per_epoch:
            checkpoints.restore(self.model, self._state, ("metrics/",))
        self._state = None


class StepCounter(keras.callbacks.Callback):
    """Counts the steps and passes on a wish to stop; all other callbacks come after it.

    Args:
        journal: checkpoints.Journal, whose `step` is counted here alone.
        stop: signals.StopRequest.
        workers: how many processes train together.
    """

    def __init__(self, journal, stop, workers: int):
        super().__init__()
        self._journal, self._stop, self._workers = journal, stop, workers

    def on_train_batch_end(self, batch, logs=None):
        self._journal.step += 1
        if self._workers == 1:
            self._stop.agreed = bool(self._stop.signum)
        else:  # the others hear of it in the next step, and all stop after that one
            self._stop.agreed = float(tf.convert_to_tensor(self.model.stop_wished)) > 0
            self.model.wants_stop.assign(float(bool(self._stop.signum)))


class Checkpoint(keras.callbacks.Callback):
    """Saves everything: at epoch ends, every N steps or M minutes, and when asked to stop.

    It comes after the others, so that a checkpoint of an epoch's end is on disk only after all
    else of that epoch is.

    Args:
        stop: signals.StopRequest, looked at after every step.
    """

    def __init__(self, run, journal, config, stop):
        super().__init__()
        self._run, self._journal, self._config, self._stop = run, journal, config, stop
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self._journal.step % self._journal.steps_per_epoch == 0:
            return  # on_epoch_end comes next and knows more
        steps, minutes = self._config.checkpoint_steps, self._config.checkpoint_minutes
        due = steps and self._journal.step % steps == 0
        due = due or (minutes and time.monotonic() - self._saved > 60 * minutes)
        if due or self._stop.agreed:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        due = done % self._config.checkpoint_every == 0 or done >= self._config.epochs
        if due or self._stop.agreed:
            self.save()

    def save(self):
        """Write the networks for other programs, then the checkpoint."""
        save_network(self.model.shown, self._run.generator)
        if self.model.averaged:
            save_network(self.model.generator, self._run.raw_generator)
        save_network(self.model.discriminator, self._run.discriminator)
        state = checkpoints.state_of(self.model)
        keep = self._config.keep_checkpoints
        checkpoints.write(self._run.checkpoints, state, self._journal, keep)
        self._saved = time.monotonic()


class Stop(keras.callbacks.Callback):
    """Ends training when all workers have agreed to; the last callback, so that all is saved.

    Args:
        journal: checkpoints.Journal.
        stop: signals.StopRequest.
        epochs: of the whole training.
        pictures: the Redrawn callbacks, which are brought up to date first.
    """

    def __init__(self, journal, stop, epochs: int, pictures=()):
        super().__init__()
        self._journal, self._stop = journal, stop
        self._epochs, self._pictures = epochs, pictures

    def on_train_batch_end(self, batch, logs=None):
        if self._journal.step % self._journal.steps_per_epoch:
            self._stop_if_agreed()

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 < self._epochs:
            self._stop_if_agreed()

    def _stop_if_agreed(self):
        if self._stop.agreed:
            for picture in self._pictures:
                picture.catch_up()
        self._stop.raise_if_agreed()
