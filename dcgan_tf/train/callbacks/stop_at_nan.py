"""The stop at a loss that is NaN or infinite."""

import keras
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.common.errors import DIVERGED, UserError


class StopAtNaN(keras.callbacks.Callback):
    """Ends training after a step whose loss is no number, before anything of it is saved.

    The model keeps the first such step; it is looked for whenever values are read, so before all
    that is saved and at the end of each epoch. Every worker has this callback, right after
    StepCounter and before all that writes.

    Args:
        run: runs.Run, whose last good checkpoint the message names.
        looks: control.Looks.
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
        good = checkpoints.files(self._run.checkpoints)
        advice = "try a smaller --g-learning-rate and --d-learning-rate in a new run"
        kept = f"the last good checkpoint is {good[-1]}" if good else "there is no checkpoint yet"
        raise UserError(
            f"the losses became NaN at step {step:.0f} "
            f"(d_loss {d_loss}, g_loss {g_loss}); {kept}; {advice}",
            code=DIVERGED,
        )
