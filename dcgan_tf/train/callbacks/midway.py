"""Callbacks that act at a given step."""

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


class AverageIntoG(keras.callbacks.Callback):
    """Sets G to its average, once, before the step that begins after `average_into_g` images.

    A run that goes on from a checkpoint of just that moment does it again, to the same effect.

    Args:
        journal: checkpoints.Journal, whose steps count.
        config: the settings.
    """

    def __init__(self, journal, config):
        super().__init__()
        self._journal = journal
        self._step = -(-config.average_into_g // config.batch_size)  # rounded up

    def on_train_batch_begin(self, batch, logs=None):
        if self._step and self._journal.step == self._step:
            self.model.generator.set_weights(self.model.averaged.get_weights())
