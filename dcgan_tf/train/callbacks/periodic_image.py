"""The base of plots and animations: drawn again while training goes on, not too often."""

import contextlib
import logging
import math
import os
import time
from pathlib import Path

import keras

from dcgan_tf.common.errors import one_line

log = logging.getLogger(__name__)

SHARE = 0.005  # of the time of a training that drawing one file may take


_failing = {}  # what was last said of each file that could not be written


@contextlib.contextmanager
def attempt(path: Path):
    """Write what a training can do without: an exception becomes one warning.

    The same one again is logged for log.txt alone, until the file could be written.
    """
    try:
        yield
        _failing.pop(path, None)
    except Exception as error:
        said = f"{path} could not be written and is tried again later: {one_line(error)}"
        log.log(logging.DEBUG if _failing.get(path) == said else logging.WARNING, said)
        log.debug("", exc_info=True)
        _failing[path] = said


class PeriodicImage(keras.callbacks.Callback):
    """A file that is drawn again and again, and that is up to date when training ends or stops.

    Subclasses have `draw`, and call `redraw` when there is something new to see. A drawing that
    fails is a warning, and the next one tries again.

    Args:
        path: the file.

    Attributes:
        put_off: whether another callback, after the checkpoint, calls `draw_if_due`.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__()
        self.path = Path(path)
        self._drawn, self._cost, self._behind = -math.inf, 0.0, False
        self.put_off, self._due = False, False

    def on_train_begin(self, logs=None):
        self._drawn = time.monotonic()

    def redraw(self, seconds: float):
        """Draw, unless that was done within the last `seconds`; then a later call will.

        `seconds` become more where drawing takes more than SHARE of them; 0 always draws.
        """
        self._behind = True
        wait = seconds and max(seconds, self._cost / SHARE)
        self._due = time.monotonic() - self._drawn >= wait
        if not self.put_off:
            self.draw_if_due()

    def draw_if_due(self):
        """Draw if the last `redraw` came late enough after the drawing before."""
        if self._due:
            self.catch_up()

    def catch_up(self):
        """Draw what is new, if anything is; called before a stop, too."""
        if not self._behind:
            return
        started, self._due = time.monotonic(), False
        with attempt(self.path):
            self.draw()
            self._behind = False
        self._drawn = time.monotonic()
        self._cost = self._drawn - started

    def on_train_end(self, logs=None):
        self.catch_up()

    def is_last(self, epoch):
        """bool: whether fit ends with this epoch, counted from 0."""
        return epoch + 1 >= self.params["epochs"]

    def draw(self):
        raise NotImplementedError
