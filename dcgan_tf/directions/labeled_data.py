"""Labeled images for two attribute classifiers, which see different people."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

import numpy as np

from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import find_again
from dcgan_tf.data.attribute_table import base_of, read_attributes
from dcgan_tf.data.pack import narrow, open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.directions.command import DirectionsRequest, config_of, owner
from dcgan_tf.models.sampling import Sampler

log = logging.getLogger(__name__)

MOST = 25_000  # images taken from a data set; more are slower and no better
FEWEST = 64  # images for one classifier
CELEBA_TRAINING = 162_770  # last image of CelebA's training split (list_eval_partition.txt)
_OWN = 0.8  # fraction of other data for the first classifier


@dataclass(frozen=True)
class LabeledImages:
    """Images, uint8 (n, side, side, channels), and attributes, int8 (n, attributes), 1 or 0."""

    pixels: np.ndarray
    labels: np.ndarray


def read_labeled_images(
    table: Path, request: DirectionsRequest, sampler: Sampler
) -> tuple[list[str], LabeledImages, LabeledImages]:
    """Read the attribute names and the labeled images of both classifiers."""
    config = _config(request, sampler)
    places = [request.data or config.data, *filter(None, [request.judge_data])]
    configs = [replace(config, data=place) for place in places]
    sources = [open_source(each) for each in configs]
    # Check the table before packing the images, which takes minutes.
    names, labels = read_attributes(table, [source.names for source in sources])
    if len(labels_among(names, sampler)) == len(names):
        words = "the generator has labels for all of its attributes; generate --label sets them"
        raise UserError(words, flag=f"--attributes {table}")
    parts, found = [], []
    for each, source in zip(configs, sources, strict=True):
        pack = open_pack(narrow(each, source, MOST), source)
        known = [row for row, name in enumerate(pack.names) if base_of(name) in labels]
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
        marks = [labels[base_of(pack.names[row])] for row in rows]
        found.append(LabeledImages(np.asarray(pack.pixels[rows]), np.array(marks)))
    own, others = found
    log.info(
        f"training a classifier on {len(own.pixels):,} images, and one that scores the "
        f"directions on {len(others.pixels):,}"
    )
    return names, own, others


def labels_among(names: list[str], sampler: Sampler) -> set[str]:
    """Name the attributes that a generator has as labels, which need no direction."""
    labels = sampler.labels
    return set(names) & set(labels.names) if labels and not labels.classes else set()


def _split(names, rows):
    """Split rows into CelebA's training split and the others, else into 80% and 20%."""
    numbers = [PureWindowsPath(names[row]).stem for row in rows]
    others = np.array([text.isdigit() and int(text) > CELEBA_TRAINING for text in numbers])
    if FEWEST <= others.sum() <= len(rows) - FEWEST:
        return [rows[~others], rows[others]]
    log.warning(
        "the two classifiers see different images, but perhaps of the same people; "
        "give images of other people with --judge-data"
    )
    return np.split(rows, [int(_OWN * len(rows))])


def _config(request, sampler):
    """The config that prepares images as the generator's training did."""
    height, width, channels = sampler.picture_shape
    if height != width:
        raise UserError(f"makes images of {width}x{height}, expected square ones")
    config = config_of(request.model)
    if run := owner(request.model):
        config = find_again(run, config)
    config = replace(config, crop=request.crop or config.crop, packs=request.packs or config.packs)
    return ImageConfig(**vars(config) | {"image_size": height, "channels": channels, "subset": 0})
