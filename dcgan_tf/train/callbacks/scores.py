"""Score during training: evaluation.jsonl, scores.png and the best generator."""

import json
import logging
import os
import time

import keras
import numpy as np

from dcgan_tf.common.atomic_write import replacing, write_text
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.files import editing_lines
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.plots import figure
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, frechet_name, is_record, mismatch, read_records
from dcgan_tf.data.pack import Pack, open_images
from dcgan_tf.evaluate.archive import Choice, cache_of, choose_reference, training_archive
from dcgan_tf.evaluate.image_sets import from_array, generated, pick
from dcgan_tf.evaluate.scorer import KID_SUBSETS_IN_TRAINING, Scorer, open_inception
from dcgan_tf.models.saving import save_network
from dcgan_tf.train.callbacks.base import GANCallback, attempt

log = logging.getLogger(__name__)

SHARES = ("precision", "recall")


class Scores(GANCallback):
    """Score the generator after every k epochs and keep the best one, in a folder.

    The scores compare with each other, not with those of `python -m dcgan_tf.evaluate`, which
    takes more images. Later callbacks have them in the logs, as `scores/fid` and so on.

    Args:
        folder: for evaluation.jsonl, scores.png and best/; created if missing.
        reals: uint8 (n, height, width, channels): up to half are the reference set, others are for
            the baseline; or a Scorer.
        every: epochs between two scores.
        count: number of images to generate for a score, at least 16.
        inception: file of Inception weights, if `reals` are images; None: the file downloaded
            earlier, or a download when training begins.
        journal: of a run, for the number of steps; by default that of the optimizer.

    Examples:
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
        self._run, self._every, self._count = Run(os.path.expanduser(folder)), every, count
        self._journal, self._best, self._first = journal, None, 0
        self._reals, self._inception = reals, os.fspath(inception) if inception else None
        self._scorer: Scorer | None = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._scorer is None:
            self._run.root.mkdir(parents=True, exist_ok=True)
            self._best = restore_best(self._run)
            forget_later(self._run, epoch, self._best)
            self._scorer = self._open_scorer()

    def _open_scorer(self) -> Scorer:
        """Open the scorer; this may download Inception."""
        scorer = self._reals
        if not isinstance(scorer, Scorer):
            count = min(self._count, len(scorer) // 2)
            rows, others = pick(np.arange(len(scorer)), count, seed=0)
            held = from_array(scorer[others[:count]], "the others of these")
            choice = Choice(from_array(scorer[rows], "the real images"), held)
            network = open_inception(self._inception)
            scorer = Scorer(*network, choice, None, subsets=KID_SUBSETS_IN_TRAINING)
        choice = scorer.choice
        self._first = scorer.real_count  # images before the first score
        baseline = choice.held_out.name if choice.held_out else f"none ({choice.reason})"
        every = "epoch" if self._every == 1 else f"{self._every} epochs"
        log.info(
            f"scores every {every}: {self._count:,} samples against "
            f"{choice.reference.name}; baseline: {baseline}"
        )
        return scorer

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every or not self._scorer:
            return
        began = time.perf_counter()
        record = self._score(self._scorer, epoch + 1)
        add_record(self._run, record)
        if is_best(self._best, record):
            publish_best(self._run, self.model.inference_generator, record)
            self._best = record
        with attempt(self._run.scores):
            draw_scores(self._run, record, self._best or record)
        log.info(describe(record) + f"  ({time.perf_counter() - began:.0f} s)")
        if logs is not None:
            names = (distance_name(record), "kid_mean", "inception_score", *SHARES)
            logs |= {f"scores/{name}": record[name] for name in names if record[name] is not None}

    def _score(self, scorer, epoch) -> dict:
        """Score the generator; return the record for evaluation.jsonl."""
        images = generated(self.model.inference_generator, self._count)
        with progress(self._count + self._first, f"scores of epoch {epoch}") as bar:
            scores = scorer.score(images, bar.update, keep=False)
        self._first, journal = 0, self._journal
        step = journal.step if journal else int(self.model.d_optimizer.iterations.numpy())
        record = {"run": self._run.root.resolve().name, "epoch": epoch, "step": step}
        return record | {"by": "training", "scored": images.name} | scores


def training_scorer(config: Config, pack: Pack) -> Scorer:
    """Open the scorer of a run, whose training images are the reference set.

    The baseline may need images of the archive that are not in the pack: they are packed now.
    """
    source = open_images(config, pack.manifest["pixels_sha256"])
    if not isinstance(source, Pack) and pack.manifest.get("source") != source.fingerprint:
        source = pack  # the images have changed since, so their rest is unknown
    archive, count = training_archive(config, source, pack), config.score_samples
    choice = choose_reference(archive, min(count, len(archive.rows)), count, seed=0)
    inception, layer = open_inception(config.inception or None)
    return Scorer(inception, layer, choice, cache_of(config), subsets=KID_SUBSETS_IN_TRAINING)


def describe(record: dict) -> str:
    """Describe the scores of a record in one line."""
    name = distance_name(record)
    baseline = f" (baseline {record['floor'][name]:.3f})" if record["floor"] else ""
    return (
        f"scores of epoch {record['epoch']}: {LABELS[name]} {record[name]:.3f}{baseline}  "
        f"KID {record['kid_mean']:.2e}  precision {cell(record, 'precision')}  "
        f"recall {cell(record, 'recall')}"
    )


def distance_name(record: dict) -> str:
    """The name of the Fréchet distance of a record; every record has one."""
    return frechet_name(record) or "fid"


def is_own(record) -> bool:
    """Whether this is a complete record, written by a training."""
    return is_record(record) and record.get("by") == "training"


def restore_best(run: Run) -> dict | None:
    """Read the score of best/generator.keras."""
    if not run.best_generator.is_file():
        return None
    record = read_json(run.best_score)
    if is_own(record):
        return record
    log.warning(f"{run.best_score}: missing or damaged; best/ starts anew")
    return None


def is_best(best: dict | None, record: dict) -> bool:
    """Whether a score beats the best one; one with another protocol always does."""
    if best and (why := mismatch(best, record)):
        log.info(f"best/ starts anew: its score has another protocol ({why})")
        return True
    name = distance_name(record)
    return best is None or record[name] < best[name]


def publish_best(run: Run, generator: keras.Model, record: dict):
    """Save the generator to best/, and its score."""
    run.best_generator.parent.mkdir(exist_ok=True)
    with replacing(run.best_generator) as temporary:
        save_network(generator, temporary)
        run.best_score.unlink(missing_ok=True)  # after a kill before the new one, best/ starts anew
    write_text(run.best_score, json.dumps(record, indent=1) + "\n")


def forget_later(run: Run, epoch: int, best: dict | None):
    """Delete damaged lines, and the training's for epochs after `epoch`, which are written again.

    The line of the generator in best/ stays as long as that is there.
    """
    if not run.evaluation.exists():
        return
    with editing_lines(run.evaluation) as records:
        records[:] = [
            record
            for record in records
            if record.get("by") != "training"
            or (is_own(record) and (record["epoch"] <= epoch or record == best))
        ]


def add_record(run: Run, record: dict):
    """Add a line to evaluation.jsonl, replacing one for the same epoch and generator."""

    def identity(record):
        return record["epoch"], record["protocol"].get("generator_sha256")

    with editing_lines(run.evaluation) as records:
        records[:] = [r for r in records if not is_own(r) or identity(r) != identity(record)]
        later = [r for r in records if is_own(r) and r["epoch"] > record["epoch"]]
        records.insert(records.index(later[0]) if later else len(records), record)


def draw_scores(run: Run, newest: dict, best: dict):
    """Draw scores.png: the scores over the epochs that have the newest one's protocol."""
    own = [record for record in read_records(run.evaluation) if is_own(record)]
    shown = [record for record in own if not mismatch(newest, record)]
    name, epochs = distance_name(newest), [record["epoch"] for record in shown]
    title = f"{run.root.resolve().name}: {newest['protocol']['scored_count']:,} samples"
    for why in sorted({why for record in own if (why := mismatch(newest, record))}):
        title += f"\nleft out, another protocol: {why[:90]}"
    with figure(run.scores, title, "epoch") as (distances, shares):
        values = [record[name] for record in shown]
        distances.plot(epochs, values, marker=".", label=LABELS[name])
        if newest["floor"]:
            baseline = {"color": "grey", "linestyle": ":", "label": "baseline"}
            distances.axhline(newest["floor"][name], **baseline)
        # On top of the curves, and not clipped at the edge.
        star = {"markersize": 14, "color": "C3", "zorder": 3, "clip_on": False, "label": "best/"}
        distances.plot(best["epoch"], best[name], "*", linestyle="", **star)
        distances.set(ylabel=f"{LABELS[name]} (lower is better)")
        distances.set_ylim(bottom=0)
        for score in SHARES:
            shares.plot(epochs, [record.get(score) for record in shown], marker=".", label=score)
        shares.set(ylabel="share", ylim=(0, 1), xlim=(0, None))
        shares.xaxis.get_major_locator().set_params(integer=True)
