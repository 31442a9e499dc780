"""Keras callbacks that steer a run: counting, saving, going on, stopping; and all of them in order.

What a run leaves for people is in artefacts.py.
"""

import math
import time

import keras
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


class StepCounter(keras.callbacks.Callback):
    """Counts the steps, passes on a wish to stop, and stops at a loss that is NaN.

    The only callback that every worker has; the others write, which is the chief's work.

    Args:
        stop: signals.StopRequest.
        workers: how many processes train together.
    """

    def __init__(self, run, journal, stop, workers):
        super().__init__()
        self._run, self._journal = run, journal
        self._stop, self._workers = stop, workers

    def on_train_batch_end(self, batch, logs=None):
        self._journal.step += 1
        losses = float(logs["d_loss"]), float(logs["g_loss"])
        if not all(map(math.isfinite, losses)):
            self._raise_diverged(losses)
        if self._workers == 1:
            self._stop.agreed = bool(self._stop.signum)
        else:  # the others hear of it in the next step, and all stop after that one
            self._stop.agreed = float(tf.convert_to_tensor(self.model.stop_wished)) > 0
            self.model.wants_stop.assign(float(bool(self._stop.signum)))

    def _raise_diverged(self, losses):
        good = checkpoints.files(self._run.checkpoints)
        advice = "try a smaller --g-learning-rate and --d-learning-rate in a new run"
        kept = f"the last good checkpoint is {good[-1]}" if good else "there is no checkpoint yet"
        raise UserError(
            f"the losses became NaN at step {self._journal.step} "
            f"(d_loss {losses[0]}, g_loss {losses[1]}); {kept}; {advice}",
            code=DIVERGED,
        )


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
        for network, path in (
            (self.model.generator, self._run.generator),
            (self.model.discriminator, self._run.discriminator),
        ):
            save_network(network, path)
        state = checkpoints.state_of(self.model)
        keep = self._config.keep_checkpoints
        checkpoints.write(self._run.checkpoints, state, self._journal, keep)
        self._saved = time.monotonic()


class Stop(keras.callbacks.Callback):
    """Ends training when all workers have agreed to; the last callback, so that all is saved."""

    def __init__(self, journal, stop, epochs):
        super().__init__()
        self._journal, self._stop, self._epochs = journal, stop, epochs

    def on_train_batch_end(self, batch, logs=None):
        if self._journal.step % self._journal.steps_per_epoch:
            self._stop.raise_if_agreed()

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 < self._epochs:
            self._stop.raise_if_agreed()
