"""Base classes of the callbacks: one for a DCGAN, one for images redrawn during training."""

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import keras

from dcgan_tf.common.errors import one_line
from dcgan_tf.models.gan import DCGAN

log = logging.getLogger(__name__)

SHARE = 0.005  # of the training time that drawing one file may take

_failing: dict[Path, str] = {}  # the last message about each file that failed


@contextlib.contextmanager
def attempt(path: Path) -> Iterator[None]:
    """Write or read a file that a training can do without: an exception becomes one warning.

    The same warning again goes to log.txt alone, until it works.
    """
    try:
        yield
        _failing.pop(path, None)
    except Exception as error:
        message = f"{path} could not be written or read; training continues: {one_line(error)}"
        log.log(logging.DEBUG if _failing.get(path) == message else logging.WARNING, message)
        log.debug("", exc_info=True)
        _failing[path] = message


class GANCallback(keras.callbacks.Callback):
    """A Keras callback whose model is a DCGAN."""

    model: DCGAN
    params: dict  # `epochs` is the number of the whole training

    def is_last(self, epoch: int) -> bool:
        """Whether training ends with this epoch, counted from 0."""
        return epoch + 1 >= self.params["epochs"]

    def is_due(self, epoch: int, every: int) -> bool:
        """Whether this epoch is one of each `every`, or the last."""
        return (epoch + 1) % every == 0 or self.is_last(epoch)


class PeriodicImage(GANCallback):
    """Redraw a file when there is something new; it is up to date when training ends or stops.

    Subclasses have `draw` and call `redraw`. A drawing that fails is a warning, and tried again.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__()
        self.path = Path(path).expanduser()
        self._drawn, self._cost, self._behind = -math.inf, 0.0, False

    def on_train_begin(self, logs=None):
        self._drawn = time.monotonic()

    def redraw(self, seconds: float):
        """Draw, unless that was done within the last `seconds`: more where drawing takes more than
        SHARE of them. 0 always draws.
        """
        self._behind = True
        wait = seconds and max(seconds, self._cost / SHARE)
        if time.monotonic() - self._drawn >= wait:
            self.catch_up()

    def catch_up(self):
        """Draw what is new, if anything is."""
        if not self._behind:
            return
        started = time.monotonic()
        with attempt(self.path):
            self.draw()
            self._behind = False
        self._drawn = time.monotonic()
        self._cost = self._drawn - started

    def on_train_end(self, logs=None):
        self.catch_up()

    def draw(self):
        raise NotImplementedError
