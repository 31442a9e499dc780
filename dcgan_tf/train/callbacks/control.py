"""Keras callbacks that steer a run: counting, saving, resuming, stopping."""

import math
import time

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.common.errors import DIVERGED, UserError
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


class CallbackList(keras.callbacks.CallbackList):
    """Gives a step's logs to the callbacks as they are: tensors, which `float` reads.

    Keras' own reads all of them after every step, and so waits until the device has done it.
    """

    def on_train_batch_end(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


class SyncSchedule:
    """After which steps values are read from the device, for which the host has to wait for it.

    One process looks once a second, when it is asked to stop, and where a number of steps says
    that something is saved. Several workers have to look after the same steps: every fourth.

    Args:
        every: checkpoint_steps of the config, 0 for none.
        workers: how many processes train together.

    Attributes:
        now: whether the step that was just done is one of them.
    """

    SECONDS, STEPS = 1.0, 4

    def __init__(self, every: int, workers: int):
        self.now = False
        self._every, self._workers, self._last = every, workers, -math.inf

    def count(self, step: int, asked_to_stop: bool):
        """Called after each step, by StepCounter, before anybody asks for `now`."""
        if self._workers > 1:
            self.now = step % self.STEPS == 0
        else:
            self.now = asked_to_stop or time.monotonic() - self._last >= self.SECONDS
        if self._every and step % self._every == 0:
            self.now = True
        if self.now:
            self._last = time.monotonic()


class StepCounter(keras.callbacks.Callback):
    """Counts the steps and passes on a wish to stop; all other callbacks come after it.

    Args:
        journal: checkpoints.Journal, whose `step` is counted here alone.
        stop: signals.StopRequest.
        looks: SyncSchedule, told of every step here alone.
        workers: how many processes train together.
    """

    def __init__(self, journal, stop, looks: SyncSchedule, workers: int):
        super().__init__()
        self._journal, self._stop, self._looks, self._workers = journal, stop, looks, workers
        self._told = False

    def on_train_batch_end(self, batch, logs=None):
        self._journal.step += 1
        asked = bool(self._stop.signum)
        self._looks.count(self._journal.step, asked)
        if self._workers == 1:
            self._stop.agreed = asked
            return
        # The others hear of it in the next step, and all stop where they look next.
        if self._looks.now:
            self._stop.agreed = float(tf.convert_to_tensor(self.model.stop_wished)) > 0
        if asked and not self._told:
            self.model.wants_stop.assign(1.0)
            self._told = True


class StopAtNaN(keras.callbacks.Callback):
    """Ends training after a step whose loss is no number, before anything of it is saved.

    The model keeps the first such step; it is looked for whenever values are read, so before all
    that is saved and at the end of each epoch. Every worker has this callback, right after
    StepCounter and before all that writes.

    Args:
        run: runs.Run, whose last good checkpoint the message names.
        looks: SyncSchedule.
    """

    def __init__(self, run, looks):
        super().__init__()
        self._run, self._looks = run, looks

    def on_train_batch_end(self, batch, logs=None):
        if self._looks.now:
            self._look()

    def on_epoch_end(self, epoch, logs=None):
        self._look()

    def _look(self):
        step, d_loss, g_loss = tf.convert_to_tensor(self.model.diverged).numpy().tolist()
        if not step:
            return
        what = f"the losses became NaN at step {step:.0f} (d_loss {d_loss}, g_loss {g_loss})"
        # The weights after the step before gave these losses.
        raise _diverged(what, self._run, step - 1)


def _diverged(what, run, end):
    good = [path for path in checkpoints.files(run.checkpoints) if checkpoints.step_of(path) < end]
    kept = f"the last good checkpoint is {good[-1]}" if good else "there is no checkpoint yet"
    advice = "try a smaller --g-learning-rate and --d-learning-rate in a new run"
    return UserError(f"{what}; {kept}; {advice}", code=DIVERGED)


class Checkpoint(keras.callbacks.Callback):
    """Saves everything: at epoch ends, every N steps or M minutes, and when asked to stop.

    It comes before the plots, and after all that cannot be made again from a checkpoint: the
    metrics, samples and scores of an epoch are on disk before its checkpoint is.

    Args:
        stop: signals.StopRequest, looked at after every step.
        looks: SyncSchedule; only then are all values read that belong to a checkpoint.
    """

    def __init__(self, run, journal, config, stop, looks):
        super().__init__()
        self._run, self._journal, self._config, self._stop = run, journal, config, stop
        self._looks = looks
        self._saved, self._saved_step = time.monotonic(), journal.step

    def on_train_batch_end(self, batch, logs=None):
        if not self._looks.now or self._journal.step % self._journal.steps_per_epoch == 0:
            return  # on_epoch_end comes next and knows more
        if self._is_due():
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        due = done % self._config.checkpoint_every == 0 or done >= self._config.epochs
        if due or self._is_due():
            self.save()

    def on_train_end(self, logs=None):
        if self._journal.step != self._saved_step:  # a callback of the user's own ended it
            self.save()

    def _is_due(self):
        """Whether the steps, the minutes or a wish to stop ask for a checkpoint now."""
        steps, minutes = self._config.checkpoint_steps, self._config.checkpoint_minutes
        due = steps and self._journal.step % steps == 0
        due = due or (minutes and time.monotonic() - self._saved > 60 * minutes)
        return due or self._stop.agreed

    def save(self):
        """Write the networks for other programs, then the checkpoint, unless there is a NaN in it.

        The losses of a step do not tell: its update comes after them.
        """
        state = checkpoints.state_of(self.model)
        for name, values in state.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                step = self._journal.step
                raise _diverged(f"{name} became NaN by step {step}", self._run, step)
        save_network(self.model.inference_generator, self._run.generator)
        if self.model.ema_generator:
            save_network(self.model.generator, self._run.raw_generator)
        save_network(self.model.discriminator, self._run.discriminator)
        keep = self._config.keep_checkpoints
        checkpoints.write(self._run.checkpoints, state, self._journal, keep)
        self._saved, self._saved_step = time.monotonic(), self._journal.step


class Stop(keras.callbacks.Callback):
    """Draws what is due and ends training when all workers have agreed to.

    The last callback, so that all is saved: not even a library that aborts costs more than a plot.

    Args:
        journal: checkpoints.Journal.
        stop: signals.StopRequest.
        epochs: of the whole training.
        pictures: the PeriodicImage callbacks, drawn here and brought up to date before a stop.
    """

    def __init__(self, journal, stop, epochs: int, pictures=()):
        super().__init__()
        self._journal, self._stop = journal, stop
        self._epochs, self._pictures = epochs, pictures
        for picture in pictures:
            picture.put_off = True

    def on_train_batch_end(self, batch, logs=None):
        self._draw()
        if self._journal.step % self._journal.steps_per_epoch:
            self._stop_if_agreed()

    def on_epoch_end(self, epoch, logs=None):
        self._draw()
        if epoch + 1 < self._epochs:
            self._stop_if_agreed()

    def _draw(self):
        for picture in self._pictures:
            picture.draw_if_due()

    def _stop_if_agreed(self):
        if self._stop.agreed:
            for picture in self._pictures:
                picture.catch_up()
        self._stop.raise_if_agreed()
