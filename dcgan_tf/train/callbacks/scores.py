"""Scores while training: evaluation.jsonl, scores.png and the best generator so far."""

import json
import logging
import os
import time

import keras
import matplotlib.figure
import tensorflow as tf

from dcgan_tf.common.files import editing_lines, read_lines, replacing, write_text
from dcgan_tf.data.pack import archive_or_pack
from dcgan_tf.evaluate.against import choose_subset, training_archive
from dcgan_tf.evaluate.judge import Judge, best_layer, frechet_name
from dcgan_tf.evaluate.pictures import generated
from dcgan_tf.evaluate.protocol import KID_SUBSETS_IN_TRAINING, mismatch
from dcgan_tf.evaluate.records import LABELS
from dcgan_tf.metrics.inception import load_inception
from dcgan_tf.models.saving import save_network

log = logging.getLogger(__name__)


class Scores(keras.callbacks.Callback):
    """Scores the generator after every k epochs against the training pictures.

    The scores are those of `python -m dcgan_tf.evaluate` on fewer pictures, so they compare with
    each other (their stamps tell) and not with those of the command.

    Args:
        run: runs.Run.
        config: config.Config; `score_every`, `score_samples`, `inception` and what finds the data.
        journal: checkpoints.Journal; lines of epochs after it will be made again.
        generator: keras.Model.
        cache: folder for the features of real pictures.
    """

    def __init__(self, run, config, journal, generator, cache):
        super().__init__()
        self._run, self._journal, self._config = run, journal, config
        self._generator = generator
        finish_best(run)
        forget_later(run, journal.epoch)
        inception = load_inception(config.inception or None)
        source = archive_or_pack(config, journal.pixels_sha256)
        archive = training_archive(config, source)
        count = config.score_samples
        choice = choose_subset(archive, min(count, len(archive.rows)), count, seed=0)
        layer = best_layer(inception)
        self._judge = Judge(inception, layer, choice, cache, subsets=KID_SUBSETS_IN_TRAINING)
        floor = choice.held_out.name if choice.held_out else f"none ({choice.reason})"
        log.info(
            f"scores every {config.score_every} epochs: {count:,} samples against "
            f"{choice.reference.name}; real against real: {floor}"
        )
        self._writer = None
        if config.tensorboard:
            self._writer = tf.summary.create_file_writer(str(run.tensorboard))

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._config.score_every:
            return
        began = time.perf_counter()
        pictures = generated(self._generator, self._config.score_samples)
        record = {
            "run": self._run.root.resolve().name,
            "epoch": epoch + 1,
            "step": self._journal.step,
            "by": "training",
            "scored": pictures.name,
            **self._judge.score(pictures, keep=False),
        }
        add_record(self._run, record)
        if is_best(self._run, record):
            publish_best(self._run, self._generator, record)
        draw_scores(self._run, record)
        if self._writer:
            self._log_scalars(record)
        log.info(describe(record) + f"  ({time.perf_counter() - began:.0f} s)")

    def _log_scalars(self, record):
        with self._writer.as_default(step=record["epoch"]):
            for name in (
                frechet_name(record),
                "kid_mean",
                "inception_score",
                "precision",
                "recall",
            ):
                if record[name] is not None:
                    tf.summary.scalar(f"scores/{name}", record[name])
        self._writer.flush()


def describe(record):
    """str: a record's scores in one line."""
    name = frechet_name(record)
    floor = f" (real against real {record['floor'][name]:.3f})" if record["floor"] else ""
    return (
        f"scores of epoch {record['epoch']}: {LABELS[name]} {record[name]:.3f}{floor}  "
        f"KID {record['kid_mean']:.2e}  precision {record['precision']:.2f}  "
        f"recall {record['recall']:.2f}"
    )


def read_best(run):
    """dict | None: the record in best/score.json."""
    if not run.best_score.is_file():
        return None
    return json.loads(run.best_score.read_text(encoding="utf-8"))


def forget_later(run, epoch):
    """Drop the training's own lines of epochs after `epoch`, which a resumed run makes again.

    Only the line of the generator in best/ stays, as long as that generator does.
    """
    if not run.evaluation.exists():
        return
    best = read_best(run)
    with editing_lines(run.evaluation) as records:
        records[:] = [
            record
            for record in records
            if record.get("by") != "training" or record["epoch"] <= epoch or record == best
        ]


def add_record(run, record):
    """Add a line to evaluation.jsonl, in place of the one of the same epoch and generator."""

    def same(other):
        return other.get("by") == "training" and _identity(other) == _identity(record)

    with editing_lines(run.evaluation) as records:
        records[:] = [other for other in records if not same(other)]
        later = [o for o in records if o.get("by") == "training" and o["epoch"] > record["epoch"]]
        records.insert(records.index(later[0]) if later else len(records), record)


def _identity(record):
    return record["epoch"], record["protocol"]["generator_sha256"]


def is_best(run, record):
    """bool: whether this score beats best/, which starts anew when the protocol has changed."""
    best = read_best(run)
    if best is None:
        return True
    if why := mismatch(best, record):
        log.info(f"best/ starts anew: its score has another protocol ({why})")
        return True
    name = frechet_name(record)
    return record[name] < best[name]


def publish_best(run, generator, record):
    """Put the generator and its score into best/.

    Two files cannot be renamed at once: the score is what counts, and a generator that was not yet
    in its place when the process was killed is put there by `finish_best`.
    """
    folder = run.best_score.parent
    folder.mkdir(exist_ok=True)
    staged = _staged(run, record)
    save_network(generator, staged)
    write_text(run.best_score, json.dumps(record, indent=1) + "\n")
    os.replace(staged, run.best_generator)


def _staged(run, record):
    sha256 = record["protocol"]["generator_sha256"]
    return run.best_score.parent / f".generator-{sha256[:16]}.keras"


def finish_best(run):
    """Complete or undo what a killed process has left in best/."""
    best = read_best(run)
    for staged in run.best_score.parent.glob(".*.keras"):
        if best and staged == _staged(run, best):
            os.replace(staged, run.best_generator)
        else:
            staged.unlink()


def draw_scores(run, newest):
    """scores.png: the training's scores over the epochs, those of the newest one's protocol."""
    own = [record for record in read_lines(run.evaluation) if record.get("by") == "training"]
    shown = [record for record in own if not mismatch(newest, record)]
    refused = {mismatch(newest, record) for record in own} - {None}
    name, best = frechet_name(newest), read_best(run)
    figure = matplotlib.figure.Figure(figsize=(8, 6.5), layout="constrained")
    distances, shares = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    epochs = [record["epoch"] for record in shown]
    distances.plot(epochs, [record[name] for record in shown], marker=".", label=LABELS[name])
    if newest["floor"]:
        distances.axhline(
            newest["floor"][name], color="grey", linestyle=":", label="real against real"
        )
    distances.plot(best["epoch"], best[name], "*", markersize=12, label="best/")
    title = f"{run.root.name}: {newest['protocol']['scored_count']:,} samples"
    for why in sorted(refused):
        title += f"\nleft out, another protocol: {why[:90]}"
    distances.set_title(title, fontsize=10)
    distances.set(ylabel=f"{LABELS[name]} (lower is better)")
    distances.set_ylim(bottom=0)
    for score in ("precision", "recall"):
        shares.plot(epochs, [record[score] for record in shown], marker=".", label=score)
    shares.set(xlabel="epoch", ylabel="share", ylim=(0, 1))
    shares.xaxis.get_major_locator().set_params(integer=True)
    for axes in (distances, shares):
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
    with replacing(run.scores) as temporary:
        figure.savefig(temporary, dpi=100)
