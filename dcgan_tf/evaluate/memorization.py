"""Memorization check: the nearest training image of each sample, and a verdict.

How near is too near, real faces say that the generator has never seen: a sample that lies nearer
to a training image than 99% of the held-out real faces do, in pixels and in Inception features,
is suspicious. Of the held-out faces themselves at most one in a hundred is.
"""

import json
import math
from dataclasses import dataclass, replace

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
    """Images as rows of blurred pixels, computed where they are read: for nearest_neighbours.

    The blur (the binomial kernel 1 2 1 applied twice each way, about 1 pixel of standard
    deviation) makes the distance forgive a shift by a pixel and the generator's fine noise.

    Args:
        pixels: uint8 (n, height, width, channels), may be mapped from disk.
    """

    def __init__(self, pixels):
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
        nearest: int64, which one that is for each sample.
        threshold: the distance that only NEAR of the held-out faces fall below.
    """

    samples: np.ndarray
    held_out: np.ndarray
    nearest: np.ndarray

    @property
    def threshold(self) -> float:
        return float(np.quantile(self.held_out, NEAR))

    @property
    def near(self) -> np.ndarray:
        """bool (n,): which samples lie nearer than the threshold."""
        return self.samples < self.threshold

    def numbers(self) -> dict:
        """The distances in figures."""
        return {
            "median_distance": float(np.median(self.samples)),
            "held_out_median_distance": float(np.median(self.held_out)),
            "ratio_of_medians": _ratio(np.median(self.samples), np.median(self.held_out)),
            "threshold": self.threshold,
            "near": float(self.near.mean()),
        }


def _ratio(first, second):
    """None where the held-out images are training images themselves."""
    return float(first / second) if second else None


def find_neighbours(samples, held_out, training) -> Neighbours:
    """Of rows of numbers, each with `len` and blocks by slice or index."""
    distances, nearest = nearest_neighbours(samples, training)
    return Neighbours(distances, nearest_neighbours(held_out, training)[0], nearest)


def verdict(pixels: Neighbours, features: Neighbours) -> dict:
    """The verdict in blurred pixels and in Inception features.

    Generated images are smoother than real ones, which brings them nearer to everything in
    pixels alone; a copy is near in both. So many near ones are allowed as chance would give.

    Returns:
        `verdict` ("copies", "no sign of copying"), `copies` (the share that is near in both
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
    """The samples to look at: the nearest in pixels, then the nearest in features."""
    return [
        int(i) for n in (pixels, features) for i in np.argsort(n.samples, kind="stable")[:count]
    ]


def examine(request: EvaluationRequest):
    """Do what `--memorisation` asks for.

    Raises:
        UserError: no held-out real images to compare with, or bad input.
    """
    run = request.run
    generator = generator_of(run)
    inception, layer = open_inception(request.inception, request.layer)
    training, held_out = _open_reals(request)
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


def _open_reals(request) -> tuple[Archive, Images]:
    """The training images and held-out ones."""
    own = request
    if request.against == "data":
        own = replace(request, data=None, against="subset")
    archive, against = open_archive(own)
    if against == "data":
        raise UserError(
            f"not the images that {request.run.root} was trained on; "
            "add --against data to take them as the held-out ones",
            flag=f"--data {request.data}",
        )
    wanted = min(request.samples or len(archive.rows), 10_000)
    if request.against == "data":
        other = open_archive(request)[0]
        count = check_count(min(wanted, len(other.rows)), other.source.where)
        rows = pick(other.rows, count, request.seed)[0]
        return archive, from_pack(other.pack, rows, other.name)
    count = min(wanted, archive.left_out)
    if count < 2:
        raise UserError(
            f"--memorisation: {request.run.root} was trained on all of {archive.source.where}, so "
            "no held-out images are left; name an archive of others with "
            "--against data --data PATH"
        )
    pack, rows = archive.rest(count, request.seed)
    check_count(len(rows), archive.source.where)  # some may have been unusable
    return archive, from_pack(pack, rows, archive.rest_name)


def _write_pairs(path, samples, training, pixels, features):
    """An image of pairs, sample | nearest training image: above by pixels, below by features."""
    shown = suspects(pixels, features, min(PAIRS, len(samples)))
    found = [pixels] * (len(shown) // 2) + [features] * (len(shown) // 2)
    pairs = [
        np.concatenate([samples[i], np.asarray(training[space.nearest[i]])], axis=1)
        for i, space in zip(shown, found, strict=True)
    ]
    image = grid(np.stack(pairs), columns=min(4, len(pairs)), gap=6)
    save_png(path, image.repeat(2, axis=0).repeat(2, axis=1), {"samples": shown})


def in_words(record: dict, run: Run) -> str:
    """The verdict with its numbers."""
    lines = [f"{record['samples']:,} samples of {run.root}{at_epoch(record)}", ""]
    for space in ("pixels", "features"):
        n = record[space]
        ratio = "none" if n["ratio_of_medians"] is None else f"{n['ratio_of_medians']:.2f}"
        where = "blurred pixels (RMS, gray levels)"
        if space == "features":
            where = f"Inception {record['layer']}"
        lines.append(
            f"nearest training image in {where}: median distance {n['median_distance']:.4g}, of "
            f"held-out real images {n['held_out_median_distance']:.4g} (ratio "
            f"{ratio}); {n['near']:.1%} of the samples lie nearer than "
            f"{1 - NEAR:.0%} of the held-out images do"
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
