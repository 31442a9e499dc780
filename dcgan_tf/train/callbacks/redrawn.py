"""What the pictures of a run have in common: drawn again while training goes on, not too often."""

import math
import os
import time
from pathlib import Path

import keras

SHARE = 0.005  # of the time of a training that drawing one file may take


class Redrawn(keras.callbacks.Callback):
    """A file that is drawn again and again, and that is up to date when training ends or stops.

    Subclasses have `draw`, and call `redraw` when there is something new to see.

    Args:
        path: the file.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__()
        self.path = Path(path)
        self._drawn, self._cost, self._behind = -math.inf, 0.0, False

    def on_train_begin(self, logs=None):
        self._drawn = time.monotonic()

    def redraw(self, seconds: float):
        """Draw, unless that was done within the last `seconds`; then a later call will.

        `seconds` become more where drawing takes more than SHARE of them; 0 always draws.
        """
        self._behind = True
        wait = seconds and max(seconds, self._cost / SHARE)
        if time.monotonic() - self._drawn >= wait:
            self.catch_up()

    def catch_up(self):
        """Draw what is new, if anything is; called before a stop, too."""
        if self._behind:
            started = time.monotonic()
            self.draw()
            self._drawn, self._behind = time.monotonic(), False
            self._cost = self._drawn - started

    def on_train_end(self, logs=None):
        self.catch_up()

    def is_last(self, epoch):
        """bool: whether fit ends with this epoch, counted from 0."""
        return epoch + 1 >= self.params["epochs"]

    def draw(self):
        raise NotImplementedError
