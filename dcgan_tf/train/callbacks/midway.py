"""Settings that change while Keras' fit goes on."""

import keras

from dcgan_tf.train import changes


class Midway(keras.callbacks.Callback):
    """Makes the recorded changes again at their steps, where a run goes on from before them.

    Args:
        journal: checkpoints.Journal, whose steps count.
        config: the newest settings.
        plan: list of changes.Change.
        settle: called with the model and the settings that are valid from now on.
    """

    def __init__(self, journal, config, plan, settle):
        super().__init__()
        self._journal, self._config, self._plan = journal, config, plan
        self._settle = settle
        self._coming = {change.step for change in plan if change.step > journal.step}

    def on_train_batch_begin(self, batch, logs=None):
        step = self._journal.step
        if step in self._coming:
            self._settle(self.model, changes.at(self._config, self._plan, step))
            self._coming.remove(step)
