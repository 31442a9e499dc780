"""Survey images before a training: counts, sizes, what is skipped or cropped, a random sample."""

import logging
from collections import Counter
from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from dcgan_tf.common.config import Config, ImageConfig
from dcgan_tf.common.errors import one_line
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.limits import counted
from dcgan_tf.common.progress import progress
from dcgan_tf.data.binary import Arrays
from dcgan_tf.data.eight_bit import (
    check_size,
    mean_cut,
    open_image,
    orientation,
    quiet_pillow,
    set_upright,
    share_cut,
    to_eight_bit,
    upright_size,
)
from dcgan_tf.data.forms import describe_unused
from dcgan_tf.data.places import FEWEST
from dcgan_tf.data.sources import Source, open_source, recognize

LOOKED_AT = 1_000  # images that are decoded; of more a random choice
SHOWN = 64  # images of the sample
FEW = 1_000  # D knows fewer by heart before G is good


def survey(
    path: str, image_size: int = 64, fit: str = "crop", seed: int = 0
) -> tuple[list[tuple[int, str]], np.ndarray]:
    """Survey the images in a folder or zip, or of `hf:NAME[:SPLIT[:COLUMN]]`, without TensorFlow.

    Args:
        image_size: side of the images of the sample, pixels.
        fit: how they become square, "crop", "pad" or "stretch".
        seed: seed that chooses the images.

    Returns:
        The findings in (logging level, line), and a sample of the images nearly as a training sees
        them, uint8 (n, image_size, image_size, 3).

    Raises:
        UserError: no images there, or a wrong value.
    """
    config = ImageConfig(dataset="auto", data=path, image_size=image_size, fit=fit)
    config = replace(recognize(config), channels=3)
    source = open_source(config)
    count = len(source.names)
    order = np.random.default_rng(seed).permutation(count)[:LOOKED_AT].tolist()
    kinds, sizes, skipped, sample = Counter(), [], {}, []
    with quiet_pillow(), progress(len(order), "looking") as bar:
        for index, encoded in source.read(order):
            try:
                kind, size, image = _look(encoded, config)
                kinds["raw" if isinstance(source, Arrays) else kind] += 1
                sizes.append(size)
                if len(sample) < SHOWN:
                    sample.append(_square(image, config))
            except Exception as error:  # Pillow lets struct.error and others through
                skipped[source.names[index]] = one_line(error)
            bar.update()
    group = "the sample's " * (len(order) < count)
    lines = [(logging.INFO, line) for line in _describe(source, kinds, sizes, config, group)]
    cut = mean_cut([share_cut(size, config) for size in sizes])
    lines += describe_unused(len(sizes), skipped, source.left_out, cut, group=group)
    if count < FEW:
        need = f"a training needs {FEWEST}; " if count < FEWEST else ""
        advice = f"{need}{FEW:,} or more are sensible: add images, or train with "
        advice += "--augment shift,colour,cutout"
        lines.append((logging.WARNING, f"{counted(count, 'image')}: {advice}"))
    return lines, np.array(sample, np.uint8).reshape(-1, image_size, image_size, 3)


def _describe(
    source: Source, kinds: Counter[str], sizes: list[tuple[int, int]], config: Config, group: str
):
    """Describe the usable images, of all or of `group`, in lines."""
    total = counted(len(source.names), "image")
    some = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()) or "none usable"
    if group:
        yield f"{source.where}: {total}; of a sample of {LOOKED_AT:,}, chosen at random: {some}"
    else:
        yield f"{source.where}: {total} ({some})"
    if sizes:
        by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
        ends = (by_area[i] for i in (0, -1, len(by_area) // 2))
        low, high, middle = (f"{width}x{height}" for width, height in ends)
        wide, tall = sum(w > h for w, h in sizes), sum(w < h for w, h in sizes)
        yield (
            f"{group}sizes: {low} to {high}, median {middle}; "
            f"{wide:,} wide, {tall:,} tall, {len(sizes) - wide - tall:,} square"
        )
    side, longest = config.image_size, max if config.fit == "pad" else min
    if box := config.crop_box:
        sizes = [(box[2] - box[0], box[3] - box[1])] * len(sizes)
    if small := sum(longest(size) < side for size in sizes):
        of = f" of {group}{len(sizes):,}" if group else ""
        yield f"smaller than {side}x{side}, so enlarged: {counted(small, 'image')}{of}"


def _look(encoded: bytes | BadFile, config: Config):
    """Decode an image: its format, its size when upright, and about its pixels, RGB or L."""
    image = open_image(encoded, config)
    kind, turn, size = image.format, orientation(image), upright_size(image)
    check_size(size, config)
    if not config.crop_box:
        image.draft(None, (2 * config.image_size, 2 * config.image_size))  # JPEG: many times faster
    image.load()  # fails for a damaged one
    return kind, size, set_upright(to_eight_bit(image), turn)


def _square(image: Image.Image, config: Config) -> np.ndarray:
    image, side = image.convert("RGB"), (config.image_size, config.image_size)
    if config.crop_box:
        left, upper, right, lower = config.crop_box
        image = image.crop((left, upper, right, lower))
    if config.fit == "pad":
        return np.asarray(ImageOps.pad(image, side, color=config.background))
    return np.asarray(ImageOps.fit(image, side) if config.fit == "crop" else image.resize(side))
