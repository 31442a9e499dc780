"""Labeled images for two attribute classifiers, which see different people."""

import logging
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np

from dcgan_tf.common.config import Config, ImageConfig
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import find_again
from dcgan_tf.data.pack import narrow, open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.directions.attribute_table import read_attributes
from dcgan_tf.directions.command import DirectionsRequest, owner
from dcgan_tf.models.sampling import Sampler

log = logging.getLogger(__name__)

MOST = 25_000  # pictures of a data set that are taken: more make heads hardly better, but slower
FEWEST = 64  # pictures of one head
CELEBA_TRAINING = 162_770  # the last picture of CelebA's training people (list_eval_partition.txt)
_OWN = 0.8  # share of other data for the first head


@dataclass(frozen=True)
class Labeled:
    """Pictures with their attributes.

    Attributes:
        pixels: uint8 (n, side, side, channels); labels: int8 (n, attributes), 1 or 0.
    """

    pixels: np.ndarray
    labels: np.ndarray


def labeled_images(
    request: DirectionsRequest, sampler: Sampler
) -> tuple[list[str], Labeled, Labeled]:
    """The attributes' names, the pictures of the first head, and those of the head that judges.

    Raises:
        UserError: no such pictures or table, none of them in it, or too few.
    """
    config = _config(request, sampler)
    places = [request.data or config.data, *filter(None, [request.judge_data])]
    configs = [replace(config, data=place) for place in places]
    sources = [open_source(each) for each in configs]
    # A table of other pictures is refused before these are packed, which takes minutes.
    names, labels = read_attributes(request.attributes, [source.names for source in sources])
    packs = [_pack(*pair) for pair in zip(configs, sources, strict=True)]
    labels = [
        each[_rows_of(pack.names, source.names)]
        for each, pack, source in zip(labels, packs, sources, strict=True)
    ]
    rows = [np.flatnonzero((each >= 0).all(axis=1)) for each in labels]
    if len(packs) == 1:
        rows = _split(packs[0].names, rows[0])
        packs, labels = packs * 2, labels * 2
    parts = [
        Labeled(np.asarray(pack.pixels[chosen]), each[chosen])
        for pack, each, chosen in zip(packs, labels, rows, strict=True)
    ]
    for part, pack in zip(parts, packs, strict=True):
        if len(part.pixels) < FEWEST:
            raise UserError(
                f"{len(part.pixels):,} pictures with attributes, expected {FEWEST} or more a head",
                flag=f"--data {pack.where}",
            )
    log.info(f"a head learns from {len(parts[0].pixels):,} pictures, another, which judges, from "
             f"{len(parts[1].pixels):,}")  # fmt: skip
    return names, *parts


def _rows_of(some, names):
    """list[int]: where each of some names stands among all."""
    place = {name: row for row, name in enumerate(names)}
    return [place[name] for name in some]


def _split(names, rows):
    """Two arrays of rows: CelebA's training people and its others, else the first 80% by name."""
    numbers = [PurePosixPath(names[row]).stem for row in rows]
    others = np.array([text.isdigit() and int(text) > CELEBA_TRAINING for text in numbers])
    if FEWEST <= others.sum() <= len(rows) - FEWEST:
        return [rows[~others], rows[others]]
    log.warning(
        "the head that judges has other pictures than the first, but perhaps of the same people; "
        "--judge-data names pictures of others"
    )
    own = int(_OWN * len(rows))
    return [rows[:own], rows[own:]]


def _pack(config, source):
    return open_pack(narrow(config, source, MOST), source)


def _config(request, sampler):
    """Config: how pictures become those that the generator was trained on."""
    height, width, channels = sampler.picture_shape
    if height != width:
        raise UserError(f"makes pictures of {width}x{height}, expected square ones")
    size = {"image_size": height, "channels": channels, "subset": 0}
    run = owner(request.model)
    if run is not None:
        config = find_again(run, read_config(run.config))
        if config.dataset == "demo":  # which has none: those of --data, cropped as the drawn ones
            config = replace(config, dataset="folder")
    elif request.crop:
        config = Config(dataset="folder")
    else:
        raise UserError(
            "has no config.toml beside it, which says how its pictures were cropped; add --crop, "
            "center or left,upper,right,lower"
        )
    if request.crop:
        size["crop"] = request.crop
    if request.packs:
        size["packs"] = request.packs
    return ImageConfig(**vars(config) | size)
