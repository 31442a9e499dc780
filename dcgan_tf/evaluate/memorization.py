"""Memorization check: the nearest training image of each sample, and a verdict.

The threshold is calibrated on real images that the generator has never seen: a sample that is
nearer to a training image than 99% of these, in pixels and in Inception features, is suspicious.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.checkpoints import identify
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.images import grid, save_png
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate.archive import Archive, cache_of, open_archive
from dcgan_tf.evaluate.command import EvaluationRequest
from dcgan_tf.evaluate.image_sets import from_pack, generated, generator_of, pick
from dcgan_tf.evaluate.reference import check_count
from dcgan_tf.evaluate.score_table import at_epoch
from dcgan_tf.evaluate.scorer import open_inception
from dcgan_tf.metrics.features import Images, extract
from dcgan_tf.metrics.neighbours import nearest_neighbours

NEAR = 0.01  # quantile of the held-out distances below which a sample counts as near
PAIRS = 8  # shown for each of the two spaces


class Blurred:
    """Images as rows of blurred pixels, computed when they are read: for nearest_neighbours.

    The blur (the binomial kernel 1 2 1 applied twice each way, about 1 pixel of standard
    deviation) makes the distance forgive a shift by a pixel and the generator's fine noise.

    Args:
        pixels: uint8 (n, height, width, channels), may be mapped from disk.
    """

    def __init__(self, pixels: np.ndarray):
        self._pixels = pixels

    def __len__(self):
        return len(self._pixels)

    def __getitem__(self, rows):
        values = self._pixels[rows].astype(np.float32)
        for axis in (1, 1, 2, 2):
            padding = [(1, 1) if a == axis else (0, 0) for a in range(4)]
            padded = np.pad(values, padding, mode="edge")
            length = values.shape[axis]
            left, middle, right = (np.take(padded, range(i, i + length), axis) for i in range(3))
            values = (left + 2 * middle + right) / 4
        # Scaled so that a distance is the root mean square difference in gray levels.
        return values.reshape(len(values), -1) / np.sqrt(np.float32(values[0].size))


@dataclass(frozen=True)
class Neighbours:
    """Nearest training images in one space.

    Attributes:
        samples, held_out: float64, distance of each to its nearest training image.
        nearest: int64, the index of that image for each sample.
    """

    samples: np.ndarray
    held_out: np.ndarray
    nearest: np.ndarray

    @property
    def threshold(self) -> float:
        """The distance that only NEAR of the held-out images are below."""
        return float(np.quantile(self.held_out, NEAR))

    @property
    def near(self) -> np.ndarray:
        """bool (n,): the samples below the threshold."""
        return self.samples < self.threshold

    def numbers(self) -> dict:
        """The distances in figures."""
        median, held_out = float(np.median(self.samples)), float(np.median(self.held_out))
        return {
            "median_distance": median,
            "held_out_median_distance": held_out,
            # None if the held-out images are training images themselves.
            "ratio_of_medians": median / held_out if held_out else None,
            "threshold": self.threshold,
            "near": float(self.near.mean()),
        }


def find_neighbours(samples, held_out, training) -> Neighbours:
    """Search among rows of numbers: arrays, or anything with `len` and blocks by slice or index."""
    distances, nearest = nearest_neighbours(samples, training)
    return Neighbours(distances, nearest_neighbours(held_out, training)[0], nearest)


def verdict(pixels: Neighbours, features: Neighbours) -> dict:
    """Give the verdict in blurred pixels and in Inception features.

    Generated images are smoother than real ones, which brings them nearer to everything in
    pixels alone; a copy is near in both. As many near ones are allowed as chance would give.

    Returns:
        `verdict` ("copies", "no sign of copying"), `copies` (the fraction that is near in both
        spaces), `allowed`, and the numbers of each space.
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


def suspects(pixels: Neighbours, features: Neighbours, count: int = PAIRS) -> list[int]:
    """List the samples to look at: the nearest in pixels, then the nearest in features."""
    return [
        int(i) for n in (pixels, features) for i in np.argsort(n.samples, kind="stable")[:count]
    ]


def examine(run: Run, request: EvaluationRequest) -> None:
    """Look for copies of training images among the samples, and print the verdict.

    Raises:
        UserError: no held-out real images to compare with, or bad input.
    """
    generator = generator_of(run)
    inception, layer = open_inception(request.inception, request.layer)
    training, held_out = _open_reals(run, request)
    own = from_pack(training.pack, training.rows, training.name)
    samples = generated(generator, request.samples or held_out.count, request.seed)
    cache = cache_of(training.config, request.cache)
    sides = (samples, held_out, own)
    with progress(sum(side.count for side in sides), f"features {layer}") as bar:
        vectors = [extract(side, inception, layer, cache, bar.update).features for side in sides]
    shown, others = (np.concatenate(list(side.read())) for side in (samples, held_out))
    pixels = find_neighbours(Blurred(shown), Blurred(others), Blurred(training.pack.pixels))
    features = find_neighbours(*vectors)
    record = identify(run) | verdict(pixels, features)
    record |= {
        "samples": samples.count,
        "held_out": held_out.name,
        "training": own.name,
        "layer": layer,
        "seed": request.seed,
        "generator_sha256": samples.made_by["generator_sha256"],
    }
    write_text(run.memorisation, json.dumps(record, indent=1) + "\n")
    _write_pairs(run.memorisation_pairs, shown, training.pack.pixels, pixels, features)
    print(json.dumps(record) if request.json else in_words(record, run))


def _open_reals(run, request) -> tuple[Archive, Images]:
    """Open the training images and held-out ones."""
    other = None
    if request.against == "data":
        other = open_archive(run, request)[0]
        request = replace(request, data=None, against="subset")
    archive, against = open_archive(run, request)
    if against == "data":
        raise UserError(
            f"not the images that {run.root} was trained on; "
            "add --against data to take them as the held-out ones",
            flag=f"--data {request.data}",
        )
    count = min(request.samples or len(archive.rows), 10_000)
    if other:
        count = check_count(min(count, len(other.rows)), other.source.where)
        rows = pick(other.rows, count, request.seed)[0]
        return archive, from_pack(other.pack, rows, other.name)
    if archive.left_out < 2:
        raise UserError(
            f"--memorisation: {run.root} was trained on all of {archive.source.where}, so "
            "no held-out images are left; name an archive of others with "
            "--against data --data PATH"
        )
    pack, rows = archive.rest(min(count, archive.left_out), request.seed)
    check_count(len(rows), archive.source.where)  # some may have been unusable
    return archive, from_pack(pack, rows, archive.rest_name)


def _write_pairs(path: Path, samples, training, pixels: Neighbours, features: Neighbours):
    """Write pairs of sample and nearest training image: above by pixels, below by features."""
    count = min(PAIRS, len(samples))
    shown = suspects(pixels, features, count)
    nearest = [
        space.nearest[i]
        for i, space in zip(shown, [pixels] * count + [features] * count, strict=True)
    ]
    pairs = np.concatenate([samples[shown], np.asarray(training)[nearest]], axis=2)
    image = grid(pairs, columns=min(4, len(pairs)), gap=6)
    save_png(path, image.repeat(2, axis=0).repeat(2, axis=1), {"samples": shown})


def in_words(record: dict, run: Run) -> str:
    """Say the verdict with its numbers."""
    lines = [f"{record['samples']:,} samples of {run.root}{at_epoch(record)}", ""]
    spaces = {
        "pixels": "blurred pixels (RMS, gray levels)",
        "features": f"Inception {record['layer']}",
    }
    for space, where in spaces.items():
        n = record[space]
        ratio = "none" if n["ratio_of_medians"] is None else f"{n['ratio_of_medians']:.2f}"
        lines.append(
            f"nearest training image in {where}: median distance {n['median_distance']:.4g}, of "
            f"held-out real images {n['held_out_median_distance']:.4g} (ratio {ratio}); "
            f"{n['near']:.1%} of the samples are nearer than {1 - NEAR:.0%} of the held-out images"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"verdict: {record['verdict']}: {record['copies']:.1%} of the samples are that near in "
            f"both; chance allows {record['allowed']:.1%}",
            f"training: {record['training']}",
            f"held out: {record['held_out']}",
            f"look at {run.memorisation_pairs}: sample | nearest training image, the nearest "
            "pairs in pixels above, in features below",
        ]
    )
