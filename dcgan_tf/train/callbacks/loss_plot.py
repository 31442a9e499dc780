"""The losses of a training, by step and by epoch, and their plot, losses.png."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.plots import figure
from dcgan_tf.metrics import collapse
from dcgan_tf.train.callbacks.base import PeriodicImage

NAMES = ("d_loss", "g_loss", "d_real", "d_fake")
POINTS = 512  # largest number of points in a curve, about one per pixel column of the plot
LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "real images", "d_fake": "generated"}
COLORS = {"d_loss": "C0", "g_loss": "C1", "d_real": "C2", "d_fake": "C3"}
# Least time between two drawings, which take a third of a second: at epoch ends, within epochs.
EPOCH_SECONDS, STEP_SECONDS = 5, 60


def epoch_record(epoch: int, step: int, batch_size: int, logs: Mapping) -> dict:
    """Make the record of an epoch (counted from 0) for metrics.jsonl."""
    record = {"epoch": epoch + 1, "step": step, "images_seen": step * batch_size}
    return record | {name: round(float(logs[name]), 6) for name in NAMES}


class Curve:
    """The losses over the steps, in `journal.curve`: at most 512 means over equally many steps.

    At 512 points, neighbors are joined, and each point then covers twice as many steps. A point is
    [step, d_loss, g_loss, d_real, d_fake], the means over the steps since the previous point. The
    points depend only on the steps, not on when they are read. `journal.step` must be the current
    one when `add` is called.
    """

    def __init__(self, journal: Journal):
        self._journal, self._state, self._unread = journal, journal.curve, []
        self._first = journal.step - journal.done_in_epoch  # first step of the epoch
        if not self._state:  # a new run, or one from a version without a curve
            past = [[record["step"], *(record[n] for n in NAMES)] for record in journal.history]
            self._state.update(stride=1, points=past, last=[0] * 5)
        if start := self._state.pop("epochs", None):  # older ones count `last` from the first step
            self._state["last"] = _subtract(self._state["last"], start)

    @property
    def points(self) -> list[list[float]]:
        self.read()
        return self._state["points"]

    def begin_epoch(self):
        """Begin an epoch; Keras' means begin anew also if the one before was not ended."""
        if self._first != self._journal.step:
            self._first, self._state["last"] = self._journal.step, [0] * 5

    def add(self, logs: Mapping):
        """Add a step; `logs` are Keras' means since the start of its epoch.

        They stay on the device until `read`, because reading each would make the host wait.
        """
        step = self._journal.step
        if step % self._state["stride"] == 0:
            self._unread.append((step, step - self._first, {name: logs[name] for name in NAMES}))

    def read(self):
        """Update the points with all steps added so far."""
        for step, count, logs in self._unread:
            if step % self._state["stride"] == 0:  # the stride may have doubled since
                self._add_point(step, _sums(count, logs))
        self._unread.clear()

    def _add_point(self, step, sums):
        points = self._state["points"]
        # The mean over a range of steps comes from the difference of two sums.
        steps, *since = _subtract(sums, self._state["last"])
        points.append([step, *(round(total / steps, 6) for total in since)])
        self._state["last"] = sums
        while len(points) >= POINTS:
            del points[: len(points) % 2]
            for first, second in zip(points[::2], points[1::2], strict=True):
                means = (np.array(first[1:]) + second[1:]) / 2
                second[1:] = [round(mean, 6) for mean in means.tolist()]
            del points[::2]
            self._state["stride"] *= 2

    def end_epoch(self, logs: Mapping) -> int:
        """End an epoch, after which Keras resets its means; return its number of steps."""
        self.read()
        count = self._journal.step - self._first
        # Negative from here on: minus the sums of the steps since the last point.
        self._state["last"] = _subtract(self._state["last"], _sums(count, logs))
        self._first = self._journal.step
        return count


def _sums(count, logs):
    return [count, *(count * float(logs[name]) for name in NAMES)]


def _subtract(first, second):
    return [a - b for a, b in zip(first, second, strict=True)]


class LossPlot(PeriodicImage):
    """Plot d_loss, g_loss and the mean of D(x) over the images seen, in a PNG.

    Args:
        title: by default the name of the PNG's folder.
        certainty: distance between D's targets, as from collapse.certainty_of.
        journal: of a run, in which MetricsLog records the losses; by default one of its own, which
            begins with this fit.
        counter: StepCounter of a run; by default the plot may be drawn after every step.

    Examples:
        >>> from dcgan_tf import DCGAN, Config, LossPlot, images_dataset
        >>> model = DCGAN.from_config(Config(width=0.02, batch_size=8))
        >>> images = images_dataset("images", batch_size=8)
        >>> _ = model.fit(images, verbose=0, callbacks=[LossPlot("losses.png")])
    """

    def __init__(
        self,
        path: str | os.PathLike,
        title: str | None = None,
        certainty: float = 1.0,
        journal: Journal | None = None,
        counter=None,
    ):
        super().__init__(path)
        self._title = title or Path(path).absolute().parent.name
        self._certainty, self._counter = certainty, counter
        self._records = journal is None
        self._journal = journal or Journal(0, "")
        self._curve, self._before = Curve(self._journal), 0

    def on_epoch_begin(self, epoch, logs=None):
        if self._records:
            self._curve.begin_epoch()
        self._before = self._journal.step

    def on_train_batch_end(self, batch, logs=None):
        if self._records:  # `batch` is the last of those that steps_per_execution joins
            most = self.params.get("steps") or batch + 1
            self._journal.step = self._before + min(batch + 1, most)
            self._curve.add(logs or {})
            self._curve.read()
        if self._counter is None or self._counter.now:
            self.redraw(STEP_SECONDS)

    def on_epoch_end(self, epoch, logs=None):
        if self._records:
            journal = self._journal
            journal.steps_per_epoch = self._curve.end_epoch(logs or {})
            record = epoch_record(epoch, journal.step, self.model.batch_size, logs or {})
            journal.history.append(record)
        self.redraw(0 if self.is_last(epoch) else EPOCH_SECONDS)

    def draw(self):
        """Write the plot of all steps so far."""
        points = np.array(self._curve.points, float)
        if not len(points):
            return
        images = points[:, 0] * self.model.batch_size
        values = dict(zip(NAMES, points[:, 1:].T, strict=True))
        with figure(self.path, self._title, "images seen") as (losses, outputs):
            for name in NAMES:
                axes = losses if name.endswith("loss") else outputs
                draw_course(axes, images, values[name], LABELS[name], COLORS[name])
            self._explain(losses, outputs, np.concatenate([values["d_loss"], values["g_loss"]]))
            self._mark_warnings(losses, outputs)

    def _explain(self, losses, outputs, drawn):
        """Draw the line for a D that only guesses, and set the axes."""
        from matplotlib.ticker import EngFormatter, MaxNLocator

        guessing = getattr(getattr(self.model, "loss_terms", None), "guessing", math.log(2))
        name = "ln 2" if guessing == math.log(2) else f"{guessing:g}"
        line = {"color": "grey", "linestyle": ":", "label": f"{name}: D only\nguesses"}
        losses.axhline(guessing, **line)
        # Outliers must not flatten the curves; the hinge loss of G may be negative.
        low = min(np.percentile(drawn, 1), 0)
        high = max(np.percentile(drawn, 99), guessing + 0.06)
        losses.set(ylabel="loss", ylim=(1.1 * low, 1.1 * high))
        outputs.set(ylabel="D(x)", ylim=(0, 1), xlim=(0, None))
        outputs.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1M
        if images := self._journal.steps_per_epoch * self.model.batch_size:
            epochs = losses.secondary_xaxis(
                "top", functions=(lambda x: x / images, lambda epoch: epoch * images)
            )
            epochs.xaxis.set_major_locator(MaxNLocator(integer=True))
            epochs.set_xlabel("epoch")

    def _mark_warnings(self, losses, outputs):
        history = self._journal.history
        marks = collapse.troubles(history, self._certainty)
        for color, (kind, epoch) in zip(("C4", "C5", "C6"), marks.items(), strict=False):
            step = next(record["step"] for record in history if record["epoch"] == epoch)
            place = {"x": step * self.model.batch_size, "color": color, "linestyle": "--"}
            losses.axvline(**place, label=f"{kind},\nepoch {epoch}")
            outputs.axvline(**place)


def draw_course(axes, x: np.ndarray, values: np.ndarray, label: str, color: str):
    """Draw a noisy curve in a pale color, and its running mean on top."""
    width = len(values) // 40 * 2 + 1  # odd, so that the mean is centered
    style = {"marker": "."} if len(values) < 30 else {}
    if width > 1:
        axes.plot(x, values, color=color, alpha=0.25, linewidth=1)
        sums, counts = (np.convolve(v, np.ones(width), "same") for v in (values, values * 0 + 1))
        values = sums / counts  # fewer neighbors at both ends
    axes.plot(x, values, color=color, label=label, **style)
