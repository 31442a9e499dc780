"""Memorization check: the nearest training image of each sample, and a verdict.

The threshold is calibrated on real images that the generator has never seen: a sample that is
nearer to a training image than 99% of these, in pixels and in Inception features, is suspicious.
"""

import json
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.checkpoints import identify
from dcgan_tf.common.images import enlarge, grid, save_png
from dcgan_tf.common.limits import counted
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate.archive import MOST, Archive, cache_of, check_count, open_archive
from dcgan_tf.evaluate.command import EvaluationRequest, refuse_all_seen
from dcgan_tf.evaluate.image_sets import from_pack, generated, hashes, pick
from dcgan_tf.evaluate.score_table import at_epoch
from dcgan_tf.evaluate.scorer import open_inception
from dcgan_tf.metrics.features import Images, extract
from dcgan_tf.metrics.neighbours import nearest_neighbours
from dcgan_tf.models.loading import load_generator

log = logging.getLogger(__name__)

NEAR = 0.01  # quantile of the held-out distances: a sample below it is near
PAIRS = 8  # shown for each of the two spaces


class Blurred:
    """Images, uint8 (n, height, width, channels), as rows of blurred pixels, computed on access.

    The blur (the binomial kernel 1 2 1 applied twice each way, about 1 pixel of standard
    deviation) makes the distance tolerate a shift by a pixel and the generator's fine noise.
    """

    def __init__(self, pixels: np.ndarray):
        self._pixels = pixels

    def __len__(self):
        return len(self._pixels)

    def __getitem__(self, rows):
        values = self._pixels[rows].astype(np.float32)
        for axis in (1, 1, 2, 2):
            lines = np.moveaxis(values, axis, 0)
            lines = np.concatenate([lines[:1], lines, lines[-1:]])  # the edges repeat
            lines = (lines[:-2] + 2 * lines[1:-1] + lines[2:]) / 4
            values = np.moveaxis(lines, 0, axis)
        # Scaled so that a distance is the root mean square difference in gray levels.
        return values.reshape(len(values), -1) / np.sqrt(np.float32(values[0].size))


@dataclass(frozen=True)
class Neighbors:
    """Nearest training images in one space."""

    samples: np.ndarray  # float64, the distance of each to its nearest training image
    held_out: np.ndarray  # float64, the same for the held-out images
    nearest: np.ndarray  # int64, the index of that image for each sample

    @property
    def threshold(self) -> float:
        """Distance below which only NEAR of the held-out images lie."""
        return float(np.quantile(self.held_out, NEAR))

    @property
    def near(self) -> np.ndarray:
        """The samples below the threshold, bool (n,)."""
        return self.samples < self.threshold

    def numbers(self) -> dict:
        """Summarize the distances for the record."""
        median, held_out = float(np.median(self.samples)), float(np.median(self.held_out))
        return {
            "median_distance": median,
            "held_out_median_distance": held_out,
            # None if the held-out images are training images themselves.
            "ratio_of_medians": median / held_out if held_out else None,
            "threshold": self.threshold,
            "near": float(self.near.mean()),
        }


def find_neighbors(samples, held_out, training) -> Neighbors:
    """Find nearest rows; arrays, or objects with `len` and access by slice or index."""
    distances, nearest = nearest_neighbours(samples, training)
    return Neighbors(distances, nearest_neighbours(held_out, training)[0], nearest)


def verdict(pixels: Neighbors, features: Neighbors) -> dict:
    """Give the verdict, and the numbers in blurred pixels and in Inception features.

    Generated images are smoother than real ones, so they are nearer to all images in pixels; a
    copy is near in both. As many near samples are allowed as chance explains.
    """
    both = pixels.near & features.near
    allowed = NEAR + 3 * math.sqrt(NEAR * (1 - NEAR) / len(both))
    return {
        "verdict": "copies" if both.mean() > allowed else "no sign of copying",
        "copies": float(both.mean()),
        "allowed": allowed,
        "pixels": pixels.numbers(),
        "features": features.numbers(),
    }


def examine(run: Run, request: EvaluationRequest) -> None:
    """Look for copies of training images among the samples, and print the verdict."""
    generator = load_generator(run.generator, "--run").model
    trained = identify(run)  # now: a training may go on
    training, held_out = _open_real_images(run, request)
    own = from_pack(training.pack, training.rows, training.name)
    samples = generated(generator, request.samples or held_out.count, request.seed)
    inception, layer = open_inception(request.inception, request.features)  # may download
    cache = cache_of(training.config, request.cache)
    sides = (samples, held_out, own)
    with progress(sum(side.count for side in sides), f"features {layer}") as bar:
        vectors = [extract(side, inception, layer, cache, bar.update).features for side in sides]
    shown, others = (np.concatenate(list(side.read())) for side in (samples, held_out))
    pixels = find_neighbors(Blurred(shown), Blurred(others), Blurred(training.pack.pixels))
    features = find_neighbors(*vectors)
    record = trained | verdict(pixels, features)
    record |= {
        "samples": samples.count,
        "held_out": held_out.name,
        "training": own.name,
        "layer": layer,
        "seed": request.seed,
        "generator_sha256": samples.made_by["generator_sha256"],
    }
    write_text(run.memorisation, json.dumps(record, indent=1) + "\n")
    _write_pairs(run.memorisation_pairs, shown, training.pack.pixels, (pixels, features))
    print(json.dumps(record) if request.json else in_words(record, run))


def _open_real_images(run, request) -> tuple[Archive, Images]:
    """Open the training images, and others that the run was not trained on."""
    archive, against = open_archive(run, request)
    others, where, rest = archive, archive.source.where, against != "data"
    if rest and archive.left_out < 2:
        refuse_all_seen(where, memorization=True)
    if not rest:
        archive = open_archive(run, replace(request, data=None, against="subset"))[0]
    count = min(request.samples or len(archive.rows), MOST)
    pack, rows, name = others.side(rest, min(count, archive.left_out), request.seed)
    # A training image among them would have distance 0, below which no copy can be.
    trained_on = hashes(from_pack(archive.pack, archive.rows, name))
    copies = np.isin(hashes(from_pack(pack, rows, name)), trained_on)
    if copies.any():
        log.info(f"{where}: {counted(int(copies.sum()), 'training image')} left out")
    rows = np.sort(rows)[~copies]
    check_count(len(rows), where)  # some may have been unusable
    return archive, from_pack(pack, pick(rows, count, request.seed)[0], name)


def _write_pairs(path: Path, samples, training, spaces: tuple[Neighbors, Neighbors]):
    """Write pairs of sample and nearest training image: above by pixels, below by features."""
    pairs, shown = [], []
    for space in spaces:
        for i in np.argsort(space.samples, kind="stable")[:PAIRS].tolist():
            pairs.append(np.concatenate([samples[i], training[space.nearest[i]]], axis=1))
            shown.append(i)
    canvas = grid(np.array(pairs), columns=min(4, len(pairs)), gap=6)
    save_png(path, enlarge(canvas, 2), {"samples": shown})


def in_words(record: dict, run: Run) -> str:
    """Write the verdict and its numbers as text."""

    def distances(space, where):
        n = record[space]
        ratio = "none" if n["ratio_of_medians"] is None else f"{n['ratio_of_medians']:.2f}"
        return (
            f"nearest training image in {where}: median distance {n['median_distance']:.4g}, for "
            f"held-out real images {n['held_out_median_distance']:.4g} (ratio {ratio}); "
            f"{n['near']:.1%} of the generated images are nearer than {1 - NEAR:.0%} of the "
            "held-out images"
        )

    return f"""\
{record["samples"]:,} generated images of {run.root}{at_epoch(record)}

{distances("pixels", "blurred pixels (RMS, gray levels)")}
{distances("features", f"Inception {record['layer']}")}

verdict: {record["verdict"]}: {record["copies"]:.1%} of the generated images are near in both; \
chance allows {record["allowed"]:.1%}
training: {record["training"]}
held out: {record["held_out"]}
pairs of a generated image and its nearest training image, nearest first, by pixels above and \
by features below: {run.memorisation_pairs}"""
