"""Keras callback that saves the state of a run."""

import time

import numpy as np

from dcgan_tf.common import checkpoints
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.runs import Run
from dcgan_tf.models.saving import save_network
from dcgan_tf.train.callbacks.base import GANCallback
from dcgan_tf.train.callbacks.control import StepCounter, diverged


class Checkpoint(GANCallback):
    """Saves everything: at epoch ends, every N steps or M minutes, and when asked to stop.

    It comes after all that cannot be made again from a checkpoint: the metrics, samples and scores
    of an epoch are on disk before its checkpoint is. The plots come after it.
    """

    def __init__(self, run: Run, journal: Journal, config: Config, counter: StepCounter):
        super().__init__()
        self._run, self._journal, self._config, self._counter = run, journal, config, counter
        self._saved, self._saved_step = time.monotonic(), journal.step

    def on_train_batch_end(self, batch, logs=None):
        # At the end of an epoch, on_epoch_end comes next and knows more.
        if self._counter.now and self._journal.done_in_epoch and self._is_time():
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        if self.is_due(epoch, self._config.checkpoint_every) or self._is_time():
            self.save()

    def on_train_end(self, logs=None):
        if self._journal.step != self._saved_step:  # a user's callback ended the training
            self.save()

    def _is_time(self):
        steps, minutes = self._config.checkpoint_steps, self._config.checkpoint_minutes
        due = steps and self._journal.step % steps == 0
        due = due or (minutes and time.monotonic() - self._saved > 60 * minutes)
        return due or self._counter.must_stop

    def save(self):
        """Write the networks for other programs, then the checkpoint, unless there is a NaN in it.

        The losses of a step do not tell: its update comes after them.
        """
        state, step = checkpoints.state_of(self.model), self._journal.step
        for name, values in state.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise diverged(f"{name} became NaN by step {step}", self._run, step)
        save_network(self.model.inference_generator, self._run.generator)
        if self.model.ema_generator:
            save_network(self.model.generator, self._run.raw_generator)
        save_network(self.model.discriminator, self._run.discriminator)
        keep = self._config.keep_checkpoints
        checkpoints.write(self._run.checkpoints, state, self._journal, keep)
        self._saved, self._saved_step = time.monotonic(), step
