"""Labeled images for two attribute classifiers, which see different people."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import find_again
from dcgan_tf.data.attribute_table import read_attributes
from dcgan_tf.data.pack import narrow, open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.directions.command import DirectionsRequest, config_of, owner
from dcgan_tf.models.sampling import Sampler

log = logging.getLogger(__name__)

MOST = 25_000  # images taken from a data set: more make classifiers slower and no better
FEWEST = 64  # images for one classifier
CELEBA_TRAINING = 162_770  # the last image of CelebA's training people (list_eval_partition.txt)
_OWN = 0.8  # share of other data for the first classifier


@dataclass(frozen=True)
class LabeledImages:
    """Images, uint8 (n, side, side, channels), and attributes, int8 (n, attributes), 1 or 0."""

    pixels: np.ndarray
    labels: np.ndarray


def read_labeled_images(
    table: Path, request: DirectionsRequest, sampler: Sampler
) -> tuple[list[str], LabeledImages, LabeledImages]:
    """Read the attributes' names, the images of the first classifier, and those of the second."""
    config = _config(request, sampler)
    places = [request.data or config.data, *filter(None, [request.judge_data])]
    configs = [replace(config, data=place) for place in places]
    sources = [open_source(each) for each in configs]
    # A table of other images is refused before these are packed, which takes minutes.
    names, labels = read_attributes(table, [source.names for source in sources])
    parts, found = [], []
    for each, source in zip(configs, sources, strict=True):
        pack = open_pack(narrow(each, source, MOST), source)
        known = [row for row, name in enumerate(pack.names) if PurePosixPath(name).name in labels]
        rows = np.array(known, int)
        for part in [rows] if request.judge_data else _split(pack.names, rows):
            parts.append((pack, part))
    for pack, rows in parts:
        if len(rows) < FEWEST:
            raise UserError(
                f"{len(rows):,} images with attributes, expected {FEWEST} or more for each of "
                "two classifiers",
                flag=f"--data {pack.where}",
            )
        marks = [labels[PurePosixPath(pack.names[row]).name] for row in rows]
        found.append(LabeledImages(np.asarray(pack.pixels[rows]), np.array(marks)))
    own, others = found
    log.info(
        f"training one classifier on {len(own.pixels):,} images, a second one, which scores the "
        f"directions, on {len(others.pixels):,}"
    )
    return names, own, others


def _split(names, rows):
    """Split rows: CelebA's training people and the others, else the first 80% and the rest."""
    numbers = [PurePosixPath(names[row]).stem for row in rows]
    others = np.array([text.isdigit() and int(text) > CELEBA_TRAINING for text in numbers])
    if FEWEST <= others.sum() <= len(rows) - FEWEST:
        return [rows[~others], rows[others]]
    log.warning(
        "the two classifiers see different images, but perhaps of the same people; "
        "--judge-data names images of others"
    )
    return np.split(rows, [int(_OWN * len(rows))])


def _config(request, sampler):
    """The config that prepares images as for the training of the generator."""
    height, width, channels = sampler.picture_shape
    if height != width:
        raise UserError(f"makes images of {width}x{height}, expected square ones")
    config = config_of(request.model)
    if run := owner(request.model):
        config = find_again(run, config)
    config = replace(config, crop=request.crop or config.crop, packs=request.packs or config.packs)
    return ImageConfig(**vars(config) | {"image_size": height, "channels": channels, "subset": 0})
