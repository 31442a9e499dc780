"""losses.png: d_loss and g_loss over images seen, redrawn during training."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.plots import figure
from dcgan_tf.metrics import collapse
from dcgan_tf.train.callbacks.logs import epoch_record
from dcgan_tf.train.callbacks.periodic_image import PeriodicImage

NAMES = ("d_loss", "g_loss", "d_real", "d_fake")
POINTS = 512  # of a curve, at most; a plot has about as many columns
UNREAD = 64  # steps whose means wait on the device, at most
# Drawing takes a third of a second: at most so often at epochs' ends, and within an epoch.
EPOCH_SECONDS, STEP_SECONDS = 5, 60


class Curve:
    """The course of the losses and beliefs: means over equally many steps, at most 512 of them.

    When there are more, neighbours are joined and each stands for twice as many steps. Keras
    gives means since the beginning of the epoch; the mean over any steps is the difference of two
    sums, so only the last of them has to be looked at. Means that are still on the device stay
    there, up to 64 steps of them, until somebody wants to see the points or the state.

    Args:
        state: dict that goes into checkpoints and is changed here; {} at first.
        start: how many steps were done before, where `state` is {}.

    Attributes:
        points: list of [step, d_loss, g_loss, d_real, d_fake], each the mean over the steps since
            the point before, up to this step.
        start: the step at which the first of them begins.
    """

    def __init__(self, state: dict, start: int = 0):
        if not state:
            sums = [0.0] * len(NAMES)
            state.update(
                start=start, stride=1, points=[], epochs=[start, *sums], last=[start, *sums]
            )
        self._state, self._unread = state, []

    @property
    def points(self):
        self.read()
        return self._state["points"]

    @property
    def start(self):
        return self._state["start"]

    def add(self, count, logs):
        """Take in one more step: the `count`-th of its epoch, after which `logs` are the means."""
        step = self._state["epochs"][0] + count
        if (step - self.start) % self._state["stride"]:
            return
        self._unread.append((step, count, {name: logs[name] for name in NAMES}))
        number = len(self._unread)
        if number == UNREAD or len(self._state["points"]) + number == POINTS:
            self.read()

    def read(self):
        """Bring the state up to date with all steps."""
        for step, count, logs in self._unread:
            self._add_point(step, count, logs)
        self._unread.clear()

    def _add_point(self, step, count, logs):
        sums, last = self._sums(count, logs), self._state["last"]
        means = [(new - old) / (sums[0] - last[0]) for new, old in zip(sums, last, strict=True)]
        points = self._state["points"]
        points.append([step, *(round(mean, 6) for mean in means[1:])])
        self._state["last"] = sums
        if len(points) == POINTS:
            self._join_neighbours()

    def end_epoch(self, count, logs):
        """Close an epoch of `count` steps with `logs` as its means."""
        self.read()
        self._state["epochs"] = self._sums(count, logs)

    def _sums(self, count, logs):
        """[steps, sum over all of them of each value]."""
        own = [count, *(count * float(logs[name]) for name in NAMES)]
        return [before + new for before, new in zip(self._state["epochs"], own, strict=True)]

    def _join_neighbours(self):
        points = self._state["points"]
        pairs = zip(points[::2], points[1::2], strict=True)
        joined = [
            [
                second[0],
                *(round((a + b) / 2, 6) for a, b in zip(first[1:], second[1:], strict=True)),
            ]
            for first, second in pairs
        ]
        self._state.update(points=joined, stride=2 * self._state["stride"])


class LossPlot(PeriodicImage):
    """d_loss and g_loss over the images seen, and D's beliefs, in a PNG that is redrawn.

    Args:
        path: the PNG.
        title: above the plot; by default the name of its folder.
        certainty: how far apart D's targets are at which step, see collapse.certainty_at; by
            default 1, as without smoothing and noise of the labels.
        journal: of a run, which goes on where its checkpoint was; MetricsLog has put the epoch's
            record into its history before this callback comes. By default a plot of its own,
            which begins with this fit.
        looks: control.SyncSchedule of a run, whose losses are read only then; by default always.

    Example:

    >>> from dcgan_tf import DCGAN, Config, LossPlot, images_dataset
    >>> model = DCGAN.from_config(Config(width=0.02, batch_size=8))
    >>> images = images_dataset("images", batch_size=8)
    >>> _ = model.fit(images, verbose=0, callbacks=[LossPlot("losses.png")])
    """

    def __init__(
        self,
        path: str | os.PathLike,
        title: str | None = None,
        certainty: Callable[[int], float] = collapse.fully,
        journal: Journal | None = None,
        looks=None,
    ):
        super().__init__(path)
        self._looks = looks
        self._title = title or Path(path).absolute().parent.name
        self._certainty = certainty
        self._own = journal is None
        self._journal = journal or Journal(0, "")
        done = self._journal.epoch * self._journal.steps_per_epoch if journal else 0
        self._curve = Curve(self._journal.curve, done)
        self._count = 0  # steps of this epoch

    def on_epoch_begin(self, epoch, logs=None):
        # Above 0 where a broken-off epoch goes on.
        self._count = int(np.asarray(self.model.metrics[0].count))

    def on_train_batch_end(self, batch, logs=None):
        self._count += 1
        self._curve.add(self._count, logs)
        if self._looks is None or self._looks.now:
            self._curve.read()
            self.redraw(STEP_SECONDS)

    def on_epoch_end(self, epoch, logs=None):
        self._curve.end_epoch(self._count, logs)
        if self._own:
            self._journal.steps_per_epoch = self._count
            self._journal.step += self._count
            step, batch_size = self._journal.step, self.model.batch_size
            self._journal.history.append(epoch_record(epoch, step, batch_size, logs))
        self.redraw(0 if self.is_last(epoch) else EPOCH_SECONDS)

    def draw(self):
        """Write the plot as things stand."""
        points = self._points()
        if not len(points):
            return
        images = points[:, 0] * self.model.batch_size
        values = dict(zip(NAMES, points[:, 1:].T, strict=True))
        with figure(self.path, self._title, "images seen") as (losses, beliefs):
            for axes, names, colors in (
                (losses, NAMES[:2], ("C0", "C1")),
                (beliefs, NAMES[2:], ("C2", "C3")),
            ):
                for name, color in zip(names, colors, strict=True):
                    draw_course(axes, images, values[name], LABELS[name], color)
            self._explain(losses, beliefs, np.concatenate([values["d_loss"], values["g_loss"]]))
            self._mark_troubles(losses, beliefs)

    def _points(self):
        """float (n, 5): the curve; in a run that is older than it, the epochs' means before it."""
        earlier = [
            [record["step"], *(record[name] for name in NAMES)]
            for record in self._journal.history
            if record["step"] <= self._curve.start
        ]
        return np.array([*earlier, *self._curve.points], float)

    def _explain(self, losses, beliefs, drawn):
        """Axes, their limits and the line of a D that only guesses."""
        from matplotlib.ticker import EngFormatter, MaxNLocator

        guessing = getattr(getattr(self.model, "loss_terms", None), "guessing", math.log(2))
        name = "ln 2" if guessing == math.log(2) else f"{guessing:g}"
        line = {"color": "grey", "linestyle": ":", "label": f"{name}: D only\nguesses"}
        losses.axhline(guessing, **line)
        # A few wild steps must not press all others flat; the hinge loss of G may be below 0.
        low = min(np.percentile(drawn, 1), 0)
        high = max(np.percentile(drawn, 99), guessing + 0.06)
        losses.set(ylabel="loss", ylim=(1.1 * low, 1.1 * high))
        beliefs.set(ylabel='D says "real"', ylim=(0, 1), xlim=(0, None))
        beliefs.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1M
        if images := self._journal.steps_per_epoch * self.model.batch_size:
            epochs = losses.secondary_xaxis(
                "top", functions=(lambda x: x / images, lambda epoch: epoch * images)
            )
            epochs.xaxis.set_major_locator(MaxNLocator(integer=True))
            epochs.set_xlabel("epoch")

    def _mark_troubles(self, losses, beliefs):
        history = self._journal.history
        marks = collapse.troubles(history, self._certainty)
        for color, (kind, epoch) in zip(("C4", "C5", "C6"), marks.items(), strict=False):
            step = next(record["step"] for record in history if record["epoch"] == epoch)
            place = {"x": step * self.model.batch_size, "color": color, "linestyle": "--"}
            losses.axvline(**place, label=f"{kind},\nepoch {epoch}")
            beliefs.axvline(**place)


LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "of reals", "d_fake": "of fakes"}


def draw_course(axes, x, values, label, color):
    """Draw a noisy curve pale, and over it its running mean."""
    width = len(values) // 40 * 2 + 1  # odd, so that the mean lies in the middle
    style = {"marker": "."} if len(values) < 30 else {}
    if width > 1:
        axes.plot(x, values, color=color, alpha=0.25, linewidth=1)
        values = running_mean(values, width)
    axes.plot(x, values, color=color, label=label, **style)


def running_mean(values, width):
    """float (n,): the mean over `width` neighbours; at both ends over those that there are."""
    window = np.ones(width)
    sums = np.convolve(values, window, "same")
    return sums / np.convolve(np.ones(len(values)), window, "same")
