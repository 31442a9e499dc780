"""Keras callbacks that control a run: counting, learning rates, NaN, saving, stopping."""

import math
import signal
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import DIVERGED, Interrupted, UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.models.saving import save_network
from dcgan_tf.train.callbacks.base import GANCallback, PeriodicImage
from dcgan_tf.train.signals import StopRequest


class CallbackList(keras.callbacks.CallbackList):
    """Pass the logs of a step on as tensors: Keras' own list reads them, which makes it wait.

    An epoch in which a user's callback stops the training does not end: a resume continues it.
    """

    def __init__(self, *args: Any, journal: Journal | None = None, **named: Any):
        super().__init__(*args, **named)
        self._journal = journal

    def on_epoch_end(self, epoch, logs=None):
        if not (self._journal and self._journal.done_in_epoch):
            super().on_epoch_end(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


class StepCounter(GANCallback):
    """Count `journal.step`, and tell later callbacks when to read values and when to stop.

    Reading a value from the device makes the host wait. A single process reads once a second, when
    it is asked to stop, and at every `every`-th step, which is a checkpoint. Several workers must
    read after the same steps: every fourth. `state` is that of the checkpoint to resume from: when
    an interrupted epoch continues, the means that Keras has just reset are restored.

    Attributes:
        now: whether to read values after the current step.
        must_stop: whether all workers know that one of them was asked to stop.
    """

    SECONDS, STEPS = 1.0, 4

    def __init__(self, journal: Journal, stop: StopRequest, every=0, workers=1, state=None):
        super().__init__()
        self.now = self.must_stop = False
        self._journal, self._stop, self._state = journal, stop, state
        self._every, self._workers, self._last = every, workers, -math.inf

    def on_epoch_begin(self, epoch, logs=None):
        if self._state is not None and self._journal.done_in_epoch:
            checkpoints.restore(self.model, self._state, ("metrics/",))
        self._state = None

    def on_train_batch_end(self, batch, logs=None):
        self._journal.step += 1
        step, asked = self._journal.step, bool(self._stop.signum)
        if self._workers > 1:
            self.now = step % self.STEPS == 0
        else:
            self.now = asked or time.monotonic() - self._last >= self.SECONDS
        if self._every and step % self._every == 0:
            self.now = True
        if self.now:
            self._last = time.monotonic()
        if self._workers == 1:
            self.must_stop = asked
            return
        # The other workers learn of it in the next step, and all stop at their next reading.
        if self.now:
            self.must_stop = float(tf.convert_to_tensor(self.model.stop_wished)) > 0
        if asked:
            self.model.wants_stop.assign(1.0)


class StopAtNaN(GANCallback):
    """End training after a step with a NaN or infinite loss, before anything of it is saved.

    The model records the first such step; every worker looks whenever values are read.
    """

    def __init__(self, run: Run, counter: StepCounter):
        super().__init__()
        self._run, self._counter = run, counter

    def on_train_batch_end(self, batch, logs=None):
        if self._counter.now:
            self.on_epoch_end(0)

    def on_epoch_end(self, epoch, logs=None):
        step, d_loss, g_loss = tf.convert_to_tensor(self.model.diverged).numpy().tolist()
        if step:
            what = f"the losses became NaN at step {step:.0f} (d_loss {d_loss}, g_loss {g_loss})"
            raise diverged(what, self._run, step - 1)  # the weights that gave these losses


def diverged(what: str, run: Run, end: int) -> UserError:
    """Make the error for a training whose checkpoints before step `end` are good."""
    advice = "try a smaller --g-learning-rate and --d-learning-rate in a new run"
    return UserError(f"{what}; {last_checkpoint(run, end)}; {advice}", code=DIVERGED)


def last_checkpoint(run: Run, end: int | None = None) -> str:
    """Name the last checkpoint of a run, before step `end` the last good one."""
    paths = checkpoints.files(run.checkpoints)
    good = [p for p in paths if end is None or (checkpoints.step_of(p) or 0) < end]
    kind = "last" if end is None else "last good"
    return f"the {kind} checkpoint is {good[-1]}" if good else "there is no checkpoint yet"


class Checkpoint(GANCallback):
    """Save the networks and the whole state: after epochs, every N steps or M minutes, at a stop.

    The metrics, samples and scores of an epoch are on disk before: no checkpoint has them.
    """

    def __init__(self, run: Run, journal: Journal, config: Config, counter: StepCounter):
        super().__init__()
        self._run, self._journal, self._config, self._counter = run, journal, config, counter
        self._saved, self._saved_step = time.monotonic(), journal.step

    def on_train_batch_end(self, batch, logs=None):
        # Else on_epoch_end follows and decides.
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
        """Write the networks for other programs, then the checkpoint.

        A step updates the weights after its losses, so the weights are checked for NaN as well.
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


class Stop(GANCallback):
    """End training at a stop, with the plots up to date; the last callback.

    `images` are drawn after the checkpoint: a crash while drawing loses only a plot.
    """

    def __init__(self, journal: Journal, stop: StopRequest, counter: StepCounter, images):
        super().__init__()
        self._journal, self._stop, self._counter = journal, stop, counter
        self._images: list[PeriodicImage] = images

    def on_train_batch_end(self, batch, logs=None):
        if self._journal.done_in_epoch:  # else on_epoch_end follows
            self._stop_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        if not self.is_last(epoch):
            self._stop_if_asked()

    def _stop_if_asked(self):
        if self._counter.must_stop:
            for image in self._images:
                image.catch_up()
            raise Interrupted(self._stop.signum or signal.SIGTERM)
