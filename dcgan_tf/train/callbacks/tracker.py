"""Send the losses and scores of a training to an experiment tracker."""

import dataclasses
from importlib import import_module
from pathlib import Path

import numpy as np

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import without_places
from dcgan_tf.common.runs import Run
from dcgan_tf.train.callbacks.base import GANCallback, attempt


class Tracker(GANCallback):
    """Logs each epoch to wandb, or to trackio, which has the same three functions.

    A tracker that fails is a warning: the training goes on.
    """

    def __init__(self, package: str, run: Run, config: Config):
        super().__init__()
        self._package, self._run, self._config = package, run, config

    def on_train_begin(self, logs=None):
        settings = dataclasses.asdict(without_places(self._config))
        self._call("init", project="dcgan_tf", name=self._run.root.name, config=settings)

    def on_epoch_end(self, epoch, logs: dict):
        values = {name: float(np.squeeze(value)) for name, value in logs.items()}
        self._call("log", values, step=epoch + 1)

    def on_train_end(self, logs=None):
        self._call("finish")

    def _call(self, function, *args, **kwargs):
        with attempt(Path(self._package)):
            getattr(import_module(self._package), function)(*args, **kwargs)
