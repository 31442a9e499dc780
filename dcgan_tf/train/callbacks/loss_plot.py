"""losses.png: d_loss and g_loss, redrawn while training goes on."""

import gc
import math
import time

import keras
import matplotlib.figure

from dcgan_tf.common.files import replacing
from dcgan_tf.metrics import collapse

PLOT_SECONDS = 5  # drawing takes a third of a second: in short epochs not after each one


class LossPlot(keras.callbacks.Callback):
    """losses.png: d_loss and g_loss over the epochs, redrawn while training goes on."""

    def __init__(self, run, journal, title, epochs, certainty):
        super().__init__()
        self._run, self._journal = run, journal
        self._title, self._epochs, self._certainty = title, epochs, certainty
        self._drawn = -math.inf

    def on_epoch_end(self, epoch, logs=None):
        if time.monotonic() - self._drawn > PLOT_SECONDS or epoch + 1 == self._epochs:
            self._draw()
            self._drawn = time.monotonic()

    def _draw(self):
        history = self._journal.history
        epochs = [record["epoch"] for record in history]
        # A figure of its own, not pyplot's, which keeps a global state and wants a main thread.
        figure = matplotlib.figure.Figure(figsize=(8, 6.5), layout="constrained")
        losses, beliefs = figure.subplots(2, sharex=True, height_ratios=(3, 2))
        style = {"marker": "."} if len(epochs) < 30 else {}
        losses.plot(epochs, [r["d_loss"] for r in history], label="d_loss", **style)
        losses.plot(epochs, [r["g_loss"] for r in history], label="g_loss", **style)
        losses.axhline(math.log(2), color="grey", linestyle=":", label="ln 2: D only guesses")
        losses.set(title=self._title, ylabel="loss, mean over the epoch (nats)")
        losses.set_ylim(bottom=0)
        beliefs.plot(epochs, [r["d_real"] for r in history], color="C2", label="of reals", **style)
        beliefs.plot(epochs, [r["d_fake"] for r in history], color="C3", label="of fakes", **style)
        beliefs.set(xlabel="epoch", ylabel='D says "real"', ylim=(0, 1))
        beliefs.xaxis.get_major_locator().set_params(integer=True)
        marks = collapse.troubles(history, self._certainty)
        for color, (kind, epoch) in zip(("C4", "C5"), marks.items(), strict=False):
            losses.axvline(epoch, color=color, linestyle="--", label=f"{kind}, epoch {epoch}")
            beliefs.axvline(epoch, color=color, linestyle="--")
        for axes in (losses, beliefs):
            axes.grid(alpha=0.3)
            axes.legend(loc="upper right")
        with replacing(self._run.losses) as temporary:
            figure.savefig(temporary, dpi=100)
        # A figure is half a megabyte of circular references; Python would let dozens pile up.
        del figure, losses, beliefs, axes
        gc.collect()
