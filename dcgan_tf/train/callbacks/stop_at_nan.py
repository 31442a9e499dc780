"""The stop at a loss that is NaN or infinite."""

import math

import keras

from dcgan_tf.common import checkpoints
from dcgan_tf.common.errors import DIVERGED, UserError


class StopAtNaN(keras.callbacks.Callback):
    """Ends training at the very step whose loss is no number, before anything of it is saved.

    Every worker has it, right after StepCounter and before all that writes.

    Args:
        run: runs.Run, whose last good checkpoint the message names.
        journal: checkpoints.Journal.
    """

    def __init__(self, run, journal):
        super().__init__()
        self._run, self._journal = run, journal

    def on_train_batch_end(self, batch, logs=None):
        losses = float(logs["d_loss"]), float(logs["g_loss"])
        if not all(map(math.isfinite, losses)):
            self._raise_diverged(losses)

    def _raise_diverged(self, losses):
        good = checkpoints.files(self._run.checkpoints)
        advice = "try a smaller --g-learning-rate and --d-learning-rate in a new run"
        kept = f"the last good checkpoint is {good[-1]}" if good else "there is no checkpoint yet"
        raise UserError(
            f"the losses became NaN at step {self._journal.step} "
            f"(d_loss {losses[0]}, g_loss {losses[1]}); {kept}; {advice}",
            code=DIVERGED,
        )
