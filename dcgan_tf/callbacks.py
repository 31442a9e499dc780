"""Keras callbacks: one artefact of a run each. All of them may be asked to do their work again.

A training that was killed goes on from its last checkpoint and passes the same epoch ends again;
whatever a callback writes is then replaced by the same content.
"""

import gc
import math
import time
from pathlib import Path

import keras
import matplotlib.figure
import numpy as np
import psutil
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from dcgan_tf import checkpoints, health
from dcgan_tf.errors import DIVERGED, UserError
from dcgan_tf.images import grid, save_gif, save_png
from dcgan_tf.runs import read_lines, replacing, write_lines
from dcgan_tf.sampling import Sampler, seed_latents
from dcgan_tf.scoring import Scores

PLOT_SECONDS = 5  # drawing takes a third of a second: in short epochs not after each one


class ProgressBar(keras.callbacks.Callback):
    """One bar per epoch on a terminal, with both losses and images per second."""

    def __init__(self, journal, batch_size, epochs):
        super().__init__()
        self._journal, self._batch_size, self._epochs = journal, batch_size, epochs
        self._bar = None

    def on_epoch_begin(self, epoch, logs=None):
        done = self._journal.step % self._journal.steps_per_epoch
        self._bar = tqdm(
            desc=f"epoch {epoch + 1}/{self._epochs}",
            total=self._journal.steps_per_epoch * self._batch_size,
            initial=done * self._batch_size,
            unit="img",
            leave=False,
            disable=None,  # only on a terminal
        )

    def on_train_batch_end(self, batch, logs=None):
        if not self._bar.disable:
            losses = {name: f"{scalar(logs[name]):.3f}" for name in ("d_loss", "g_loss")}
            self._bar.set_postfix(losses, refresh=False)
            self._bar.update(self._batch_size)

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()


class StepCounter(keras.callbacks.Callback):
    """Counts the steps, passes on a wish to stop, and stops at a loss that is NaN.

    The only callback that every worker has; the others write, which is the chief's work.

    Args:
        stop: signals.StopRequest.
        workers: how many processes train together.
    """

    def __init__(self, run, journal, stop, workers):
        super().__init__()
        self._run, self._journal = run, journal
        self._stop, self._workers = stop, workers

    def on_train_batch_end(self, batch, logs=None):
        self._journal.step += 1
        losses = scalar(logs["d_loss"]), scalar(logs["g_loss"])
        if not all(map(math.isfinite, losses)):
            self._raise_diverged(losses)
        if self._workers == 1:
            self._stop.agreed = bool(self._stop.signum)
        else:  # the others hear of it in the next step, and all stop after that one
            self._stop.agreed = scalar(logs["stop"]) > 0
            self.model.wants_stop.assign(float(bool(self._stop.signum)))

    def _raise_diverged(self, losses):
        good = checkpoints.files(self._run.checkpoints)
        advice = "try a smaller --g-learning-rate and --d-learning-rate in a new run"
        kept = f"the last good checkpoint is {good[-1]}" if good else "there is no checkpoint yet"
        raise UserError(
            f"the losses became NaN at step {self._journal.step} "
            f"(d_loss {losses[0]}, g_loss {losses[1]}); {kept}; {advice}",
            code=DIVERGED,
        )


class MetricsLog(keras.callbacks.Callback):
    """metrics.jsonl and timing.jsonl, one line an epoch, and a line for the person who watches."""

    def __init__(self, run, journal, batch_size, epochs, diversity):
        super().__init__()
        self._run, self._journal, self._diversity = run, journal, diversity
        self._batch_size, self._epochs = batch_size, epochs
        self._started, self._first_step = 0.0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._started, self._first_step = time.perf_counter(), self._journal.step

    def on_epoch_end(self, epoch, logs=None):
        images = self._journal.step * self._batch_size
        record = {"epoch": epoch + 1, "step": self._journal.step, "images_seen": images}
        names = ("d_loss", "g_loss", "d_real", "d_fake")
        record |= {name: round(scalar(logs[name]), 6) for name in names}
        record["diversity"] = round(self._diversity.measure(), 6)
        self._journal.history.append(record)
        write_lines(self._run.metrics, self._journal.history)
        self._write_timing(epoch, record)

    def _write_timing(self, epoch, record):
        seconds = time.perf_counter() - self._started
        speed = (self._journal.step - self._first_step) * self._batch_size / seconds
        timing = {
            "epoch": epoch + 1,
            "seconds": round(seconds, 3),
            "images_per_second": round(speed, 2),
            "peak_memory_mb": round(peak_memory() / 2**20, 1),
        }
        earlier = [line for line in read_lines(self._run.timing) if line["epoch"] <= epoch]
        write_lines(self._run.timing, [*earlier, timing])
        self._run.say(
            f"epoch {epoch + 1}/{self._epochs}  d_loss {record['d_loss']:.3f}  "
            f"g_loss {record['g_loss']:.3f}  D(real) {record['d_real']:.2f}  "
            f"D(fake) {record['d_fake']:.2f}  {speed:.0f} images/s"
        )


class Troubles(keras.callbacks.Callback):
    """Warns of a collapse and of a saturated D, once in the life of a run."""

    def __init__(self, run, journal, certainty):
        super().__init__()
        self._run, self._journal, self._certainty = run, journal, certainty

    def on_epoch_end(self, epoch, logs=None):
        history = self._journal.history
        for kind, first in health.troubles(history, self._certainty).items():
            if first == epoch + 1:
                text = health.warning(kind, history, first)
                if text not in self._run.log.read_text(encoding="utf-8"):  # said before a kill
                    self._run.say(text)


def scalar(value):
    """float: of a tensor with one element, whatever its shape."""
    return float(np.ravel(value)[0])


def peak_memory():
    """int: the most that this process, or its GPU, has held at once, in bytes."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_memory_info(gpus[0].name.replace("/device:", ""))["peak"]
    try:
        import resource  # not on Windows
    except ImportError:
        return psutil.Process().memory_info().peak_wset
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class SampleGrid(keras.callbacks.Callback):
    """Pictures of seeds 0, 1, ... after every k epochs: what `generate.py` makes of these seeds."""

    def __init__(self, run, sampler, count, every, epochs):
        super().__init__()
        self._run, self._sampler = run, sampler
        self._latents = seed_latents(range(count), sampler.latent_dim)
        self._every, self._epochs = every, epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0 or epoch + 1 == self._epochs:
            pictures = grid(self._sampler.array(self._latents))
            save_png(self._run.sample(epoch + 1), pictures, {"epoch": epoch + 1})


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
        marks = health.troubles(history, self._certainty)
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


class ProgressGif(keras.callbacks.Callback):
    """progress.gif: the sample grids so far, after 1, 2, 4, 8, ... epochs and after the last.

    Each writing takes as long as there are grids; doubling keeps the sum of them small.
    """

    def __init__(self, run, epochs):
        super().__init__()
        self._run, self._epochs = run, epochs

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        if done & (done - 1) == 0 or done >= self._epochs:
            self._write(done)

    def _write(self, done):
        frames = []
        for path in self._run.sample_files():
            if int(path.stem[6:]) <= done:  # none of an epoch that has to be done again
                with Image.open(path) as image:
                    frames.append(image.copy())
        if frames:  # a changed --sample-count changes the size: keep those like the last
            save_gif(self._run.progress, [f for f in frames if f.size == frames[-1].size])


class TensorBoardLog(keras.callbacks.Callback):
    """Scalars after each epoch, and the sample grids that were written."""

    def __init__(self, run, journal):
        super().__init__()
        self._run, self._journal = run, journal
        self._writer = tf.summary.create_file_writer(str(run.tensorboard))

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(name, scalar(value))
            tf.summary.scalar("diversity", self._journal.history[-1]["diversity"])
            sample = self._run.sample(epoch + 1)
            if sample.exists():
                with Image.open(sample) as image:
                    tf.summary.image("samples", np.asarray(image.convert("RGB"))[None])
        self._writer.flush()


class Checkpoint(keras.callbacks.Callback):
    """Saves everything: at epoch ends, every N steps or M minutes, and when asked to stop.

    It comes after the others, so that a checkpoint of an epoch's end is on disk only after all
    else of that epoch is.

    Args:
        stop: signals.StopRequest, looked at after every step.
    """

    def __init__(self, run, journal, config, stop):
        super().__init__()
        self._run, self._journal, self._config, self._stop = run, journal, config, stop
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self._journal.step % self._journal.steps_per_epoch == 0:
            return  # on_epoch_end comes next and knows more
        steps, minutes = self._config.checkpoint_steps, self._config.checkpoint_minutes
        due = steps and self._journal.step % steps == 0
        due = due or (minutes and time.monotonic() - self._saved > 60 * minutes)
        if due or self._stop.agreed:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        due = done % self._config.checkpoint_every == 0 or done >= self._config.epochs
        if due or self._stop.agreed:
            self.save()

    def save(self):
        """Write the networks for other programs, then the checkpoint."""
        for network, path in (
            (self.model.generator, self._run.generator),
            (self.model.discriminator, self._run.discriminator),
        ):
            with replacing(path) as temporary:
                network.save(temporary)
        state = checkpoints.state_of(self.model)
        keep = self._config.keep_checkpoints
        checkpoints.write(self._run.checkpoints, state, self._journal, keep)
        self._saved = time.monotonic()


class RestoreMeans(keras.callbacks.Callback):
    """Gives a broken-off epoch its means back, which Keras resets when it goes on with it.

    Args:
        state: of the checkpoint that training goes on from.
    """

    def __init__(self, journal, state):
        super().__init__()
        self._journal, self._state = journal, state

    def on_epoch_begin(self, epoch, logs=None):
        if self._state is not None and self._journal.step % self._journal.steps_per_epoch:
            checkpoints.restore(self.model, self._state, ("metrics/",))
        self._state = None


class Stop(keras.callbacks.Callback):
    """Ends training when all workers have agreed to; the last callback, so that all is saved."""

    def __init__(self, journal, stop, epochs):
        super().__init__()
        self._journal, self._stop, self._epochs = journal, stop, epochs

    def on_train_batch_end(self, batch, logs=None):
        if self._journal.step % self._journal.steps_per_epoch:
            self._stop.raise_if_agreed()

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 < self._epochs:
            self._stop.raise_if_agreed()


def standard(run, config, journal, model, stop, pixels, *, restored=None, chief=True, workers=1):
    """All of the above, in the order in which they depend on each other.

    Args:
        pixels: uint8 (count, height, width, channels), the training pictures.
        restored: the state that training goes on from, None at the start.
        chief: whether this process is the one that writes.
        workers: how many processes train together.

    Returns:
        list[keras.callbacks.Callback].
    """
    counting = [RestoreMeans(journal, restored), StepCounter(run, journal, stop, workers)]
    writing = _writing(run, config, journal, model, stop, pixels) if chief else []
    return [*counting, *writing, Stop(journal, stop, config.epochs)]


def _writing(run, config, journal, model, stop, pixels):
    batch_size, epochs = config.batch_size, config.epochs
    title = f"{run.root.name}: {config.dataset} at {config.image_size}x{config.image_size}"
    sampler = Sampler(model.generator)
    certainty = max(1 - config.label_smoothing - config.label_noise, 0.1)
    found = [
        ProgressBar(journal, batch_size, epochs),
        MetricsLog(run, journal, batch_size, epochs, health.Diversity(sampler, pixels)),
        Troubles(run, journal, certainty),
        SampleGrid(run, sampler, config.sample_count, config.sample_every, epochs),
        LossPlot(run, journal, title, epochs, certainty),
        ProgressGif(run, epochs),
    ]
    if config.tensorboard:
        found.append(TensorBoardLog(run, journal))
    if config.score_every:
        cache = Path(config.packs).parent / "features"
        found.append(Scores(run, config, journal, model.generator, cache))
    return [*found, Checkpoint(run, journal, config, stop)]
