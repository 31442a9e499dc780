"""Score during training: evaluation.jsonl, scores.png and the best generator."""

import logging
import os
import time

import keras
import numpy as np

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.files import editing_lines
from dcgan_tf.common.plots import figure
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, frechet_name, mismatch, read_records
from dcgan_tf.data.pack import Pack, archive_or_pack
from dcgan_tf.evaluate.image_sets import from_array, generated, pick
from dcgan_tf.evaluate.protocol import KID_SUBSETS_IN_TRAINING
from dcgan_tf.evaluate.reference import Choice, cache_of, choose_subset, training_archive
from dcgan_tf.evaluate.scorer import Scorer, open_inception
from dcgan_tf.train.callbacks.best import is_best, is_own, publish_best, restore_best
from dcgan_tf.train.callbacks.periodic_image import attempt

log = logging.getLogger(__name__)

SHARES = ("precision", "recall")


class Scores(keras.callbacks.Callback):
    """Scores the generator after every k epochs and keeps the best one, in a folder.

    The scores are those of `python -m dcgan_tf.evaluate` on fewer pictures, so they compare with
    each other (their stamps tell) and not with those of the command. They are put into the logs
    of the epoch, as `scores/fid` and so on, for the callbacks that come after this one.

    Args:
        folder: for evaluation.jsonl, scores.png and best/; made if need be.
        reals: uint8 (n, height, width, channels), of which up to half are compared with and others
            give the score of real against real; or a Scorer, as `training_scorer` gives it.
        every: so many epochs.
        count: of pictures that are generated for a score, at least 16.
        inception: where `reals` are pictures: Inception's weights, see load_inception; None takes
            the file that was downloaded earlier, or downloads it when training begins.
        journal: of a run, for the number of steps; by default the optimizer's.

    Example:

    >>> import numpy as np
    >>> from dcgan_tf import Scores
    >>> real_images = np.zeros((64, 64, 64, 3), np.uint8)  # yours
    >>> callback = Scores("scores", real_images, every=5, count=32)  # for fit(callbacks=[...])
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        reals: np.ndarray | Scorer,
        every: int = 1,
        count: int = 1000,
        inception: str | os.PathLike | None = None,
        journal: Journal | None = None,
    ):
        super().__init__()
        self._run, self._reals = Run(folder), reals
        self._every, self._count = every, count
        self._inception, self._journal = inception, journal
        self._judge = self._best = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._judge is None:
            self._run.root.mkdir(parents=True, exist_ok=True)
            self._best = restore_best(self._run)
            forget_later(self._run, epoch, self._best)
            self._open_judge()

    def _open_judge(self):
        """Open what the scores need; it may have to download Inception and to pack pictures."""
        self._judge = self._reals
        if not isinstance(self._judge, Scorer):
            inception, layer = open_inception(self._inception)
            choice, subsets = choose(self._reals, self._count), KID_SUBSETS_IN_TRAINING
            self._judge = Scorer(inception, layer, choice, None, subsets=subsets)
        choice = self._judge.choice
        floor = choice.held_out.name if choice.held_out else f"none ({choice.reason})"
        held = choice.held_out.count if choice.held_out else 0
        self._first = choice.reference.count + held  # pictures before the first score
        every = "epoch" if self._every == 1 else f"{self._every} epochs"
        log.info(
            f"scores every {every}: {self._count:,} samples against "
            f"{choice.reference.name}; real against real: {floor}"
        )

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every:
            return
        began = time.perf_counter()
        record = self._score(epoch + 1)
        add_record(self._run, record)
        if is_best(self._best, record):
            publish_best(self._run, self.model.inference_generator, record)
            self._best = record
        with attempt(self._run.scores):
            draw_scores(self._run, record, self._best)
        log.info(describe(record) + f"  ({time.perf_counter() - began:.0f} s)")
        if logs is not None:
            logs |= {f"scores/{name}": record[name] for name in _names(record)}

    def _score(self, epoch):
        """dict: one line of evaluation.jsonl."""
        pictures = generated(self.model.inference_generator, self._count)
        with progress(self._count + self._first, f"scores of epoch {epoch}") as bar:
            scores = self._judge.score(pictures, bar.update, keep=False)
        self._first = 0
        journal = self._journal
        return {
            "run": self._run.root.resolve().name,
            "epoch": epoch,
            "step": journal.step if journal else int(self.model.d_optimizer.iterations.numpy()),
            "by": "training",
            "scored": pictures.name,
            **scores,
        }


def choose(pixels: np.ndarray, count: int) -> Choice:
    """`count` of the pictures, or half of them, to compare with; as many others held out."""
    count = min(count, len(pixels) // 2)
    rows, others = pick(np.arange(len(pixels)), count, seed=0)
    held = from_array(pixels[others[:count]], "the others of these")
    return Choice(from_array(pixels[rows], "the real pictures"), held)


def training_scorer(config: Config, pack: Pack) -> Scorer:
    """What scores the samples of a run: its training pictures and the network of `--inception`.

    The floor may need pictures of the archive that are not in the training pictures' pack.

    Raises:
        UserError: no weights of Inception, or damaged ones.
    """
    source = archive_or_pack(config, pack.manifest["pixels_sha256"])
    archive, count = training_archive(config, source, pack), config.score_samples
    choice = choose_subset(archive, min(count, len(archive.rows)), count, seed=0)
    inception, layer = open_inception(config.inception or None)
    return Scorer(inception, layer, choice, cache_of(config), subsets=KID_SUBSETS_IN_TRAINING)


def _names(record):
    """list[str]: the scores that a record has."""
    names = (frechet_name(record), "kid_mean", "inception_score", "precision", "recall")
    return [name for name in names if record[name] is not None]


def describe(record):
    """str: a record's scores in one line."""
    name = frechet_name(record)
    floor = f" (real against real {record['floor'][name]:.3f})" if record["floor"] else ""
    return (
        f"scores of epoch {record['epoch']}: {LABELS[name]} {record[name]:.3f}{floor}  "
        f"KID {record['kid_mean']:.2e}  precision {cell(record, 'precision')}  "
        f"recall {cell(record, 'recall')}"
    )


def forget_later(run, epoch, best):
    """Drop the training's own lines of epochs after `epoch`, which a resumed run makes again.

    Only the line of the generator in best/ stays, as long as that generator does.
    """
    if not run.evaluation.exists():
        return
    with editing_lines(run.evaluation) as records:
        damaged = [r for r in records if r.get("by") == "training" and not is_own(r)]
        records[:] = [
            record
            for record in records
            if record not in damaged
            and (not is_own(record) or record["epoch"] <= epoch or record == best)
        ]
    if damaged:
        log.warning(f"{run.evaluation}: {len(damaged)} damaged lines left out")


def add_record(run, record):
    """Add a line to evaluation.jsonl, in place of the one of the same epoch and generator."""

    def same(other):
        return is_own(other) and _identity(other) == _identity(record)

    with editing_lines(run.evaluation) as records:
        records[:] = [other for other in records if not same(other)]
        later = [o for o in records if is_own(o) and o["epoch"] > record["epoch"]]
        records.insert(records.index(later[0]) if later else len(records), record)


def _identity(record):
    return record["epoch"], record["protocol"].get("generator_sha256")


def draw_scores(run, newest, best):
    """scores.png: the training's scores over the epochs, those of the newest one's protocol."""
    own = [record for record in read_records(run.evaluation) if is_own(record)]
    shown = [record for record in own if not mismatch(newest, record)]
    refused = {mismatch(newest, record) for record in own} - {None}
    name, epochs = frechet_name(newest), [record["epoch"] for record in shown]
    title = f"{run.root.resolve().name}: {newest['protocol']['scored_count']:,} samples"
    for why in sorted(refused):
        title += f"\nleft out, another protocol: {why[:90]}"
    with figure(run.scores, title, "epoch") as (distances, shares):
        values = [record[name] for record in shown]
        distances.plot(epochs, values, marker=".", label=LABELS[name])
        if newest["floor"]:
            floor = {"color": "grey", "linestyle": ":", "label": "real against\nreal"}
            distances.axhline(newest["floor"][name], **floor)
        # Over all else, and whole at the edge too.
        star = {"markersize": 14, "color": "C3", "zorder": 3, "clip_on": False, "label": "best/"}
        distances.plot(best["epoch"], best[name], "*", linestyle="", **star)
        distances.set(ylabel=f"{LABELS[name]} (lower is better)")
        distances.set_ylim(bottom=0)
        for score in SHARES:
            shares.plot(epochs, [record.get(score) for record in shown], marker=".", label=score)
        shares.set(ylabel="share", ylim=(0, 1), xlim=(0, None))
        shares.xaxis.get_major_locator().set_params(integer=True)
