"""The losses of a training as its journal keeps them: within epochs, and of each epoch."""

from collections.abc import Mapping

from dcgan_tf.common.checkpoints import Journal

NAMES = ("d_loss", "g_loss", "d_real", "d_fake")
POINTS = 512  # of a curve, at most; a plot has about as many columns


def epoch_record(epoch: int, step: int, batch_size: int, logs: Mapping) -> dict:
    """The losses of an epoch, counted from 0, as metrics.jsonl has them."""
    record = {"epoch": epoch + 1, "step": step, "images_seen": step * batch_size}
    return record | {name: round(float(logs[name]), 6) for name in NAMES}


class Curve:
    """The losses over the steps, in `journal.curve`: at most 512 means over equally many steps.

    Beyond 512, neighbors are joined, and each point stands for twice as many steps. A point is
    [step, d_loss, g_loss, d_real, d_fake], the mean over the steps since the point before. The
    points depend on the steps alone, never on when they are read.

    Args:
        journal: whose `step` is the one just done when `add` is called.
    """

    def __init__(self, journal: Journal):
        self._journal, self._state, self._unread = journal, journal.curve, []
        self._first = journal.step - journal.done_in_epoch  # step of the epoch's beginning
        if not self._state:  # a new run, or one from before there was a curve
            past = [[record["step"], *(record[n] for n in NAMES)] for record in journal.history]
            self._state.update(stride=1, points=past, last=[0] * 5)
        if "epochs" in self._state:  # older checkpoints count `last` from the first step
            start, last = self._state.pop("epochs"), self._state["last"]
            self._state["last"] = _subtract(last, start)

    @property
    def points(self) -> list[list[float]]:
        self.read()
        return self._state["points"]

    def add(self, logs: Mapping):
        """Take in one more step; `logs` are Keras' means since the beginning of its epoch.

        They stay on the device until `read`: the host would have to wait for each of them.
        """
        step = self._journal.step
        if step % self._state["stride"] == 0:
            self._unread.append((step, step - self._first, {name: logs[name] for name in NAMES}))

    def read(self):
        """Bring the points up to date with all steps."""
        for step, count, logs in self._unread:
            if step % self._state["stride"] == 0:  # it may have doubled since
                self._add_point(step, _sums(count, logs))
        self._unread.clear()

    def _add_point(self, step, sums):
        points = self._state["points"]
        # The mean over any steps is the difference of two sums.
        steps, *since = _subtract(sums, self._state["last"])
        points.append([step, *(round(total / steps, 6) for total in since)])
        self._state["last"] = sums
        while len(points) >= POINTS:
            del points[: len(points) % 2]
            points[:] = map(_join, points[::2], points[1::2])
            self._state["stride"] *= 2

    def end_epoch(self, logs: Mapping) -> int:
        """Close an epoch, after which Keras begins its means anew; return its steps."""
        self.read()
        count = self._journal.step - self._first
        # Below 0 afterwards: what the steps since the last point add to the next one.
        self._state["last"] = _subtract(self._state["last"], _sums(count, logs))
        self._first = self._journal.step
        return count


def _sums(count, logs):
    return [count, *(count * float(logs[name]) for name in NAMES)]


def _subtract(first, second):
    return [a - b for a, b in zip(first, second, strict=True)]


def _join(first, second):
    return [second[0], *(round((a + b) / 2, 6) for a, b in zip(first[1:], second[1:], strict=True))]
