"""Survey images before a training: counts, sizes, what is skipped or cropped, a random sample."""

import logging
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageOps

from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.limits import counted
from dcgan_tf.common.progress import progress
from dcgan_tf.data.eight_bit import check_size, open_image, share_cut, to_eight_bit
from dcgan_tf.data.pack import describe
from dcgan_tf.data.pack_making import CUT
from dcgan_tf.data.places import FEWEST
from dcgan_tf.data.sources import open_source, recognize

LOOKED_AT = 1_000  # images that are decoded; of more a random choice
SHOWN = 64  # images of the sample
FEW = 1_000  # D knows fewer by heart before G is good


@dataclass(frozen=True)
class Survey:
    """Counts, sizes and a sample of the images at a place.

    Attributes:
        where: the place.
        count: number of image files.
        looked_at: how many of them were decoded.
        kinds: formats of the usable ones, {name: count}.
        sizes: (width, height) of the usable ones, upright.
        skipped: {name: reason} of the unusable ones.
        left_out: {name: reason} of the other files.
        cut: number of images that are cropped, and their mean share of the area.
        sample: uint8 (n, image_size, image_size, 3), nearly as a training sees them.
    """

    where: str
    count: int
    looked_at: int
    kinds: dict[str, int]
    sizes: list[tuple[int, int]]
    skipped: dict[str, str]
    left_out: dict[str, str]
    cut: tuple[int, float]
    sample: np.ndarray

    def lines(self) -> list[tuple[int, str]]:
        """Describe it in (logging level, line)."""
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.items())
        lines = [f"{self.where}: {counted(self.count, 'image')} ({kinds or 'none usable'})"]
        if self.looked_at < self.count:
            lines[0] += f", of which {self.looked_at:,} chosen at random were looked at"
        if self.sizes:
            by_area = sorted(self.sizes, key=lambda size: (size[0] * size[1], size))
            low, middle, high = (by_area[i] for i in (0, len(by_area) // 2, -1))
            wide = sum(width > height for width, height in self.sizes)
            tall = sum(width < height for width, height in self.sizes)
            lines += [
                f"sizes: {low[0]}x{low[1]} to {high[0]}x{high[1]}, median {middle[0]}x{middle[1]}; "
                f"{wide:,} wide, {tall:,} tall, {len(by_area) - wide - tall:,} square"
            ]
            side = self.sample.shape[1]
            if small := sum(min(size) < side for size in self.sizes):
                lines += [f"smaller than {side}x{side}, so enlarged: {counted(small, 'image')}"]
        told = [(logging.INFO, line) for line in lines]
        told += describe(len(self.sizes), self.skipped, self.left_out, self.cut)
        if self.count < FEW:
            need = f"a training needs {FEWEST}; " if self.count < FEWEST else ""
            advice = f"{need}{FEW:,} or more are sensible: add images, or train with "
            advice += "--augment shift,colour,cutout"
            told.append((logging.WARNING, f"{counted(self.count, 'image')}: {advice}"))
        return [(level, line) for level, line in told if line]


def survey(path, image_size: int = 64, fit: str = "crop", seed: int = 0) -> Survey:
    """Survey the images in a folder or zip, without TensorFlow.

    Args:
        image_size: side of the images of the sample, pixels.
        fit: how they become square, "crop", "pad" or "stretch".
        seed: seed that chooses the images.

    Raises:
        UserError: no images there, or a wrong value.
    """
    config = ImageConfig(dataset="auto", data=path, image_size=image_size, fit=fit)
    config = replace(recognize(config), channels=3)
    source = open_source(config)
    count = len(source.names)
    order = np.random.default_rng(seed).permutation(count)[:LOOKED_AT].tolist()
    kinds, sizes, skipped, cuts, sample = Counter(), [], {}, [], []
    with progress(len(order), "looking") as bar:
        for index, encoded in source.read(order):
            try:
                kind, size, image = _look(encoded, config)
                kinds[kind] += 1
                sizes.append(size)
                cut = share_cut(size, config)
                cuts += [cut] * (cut > CUT)
                if len(sample) < SHOWN:
                    sample.append(_square(image, config))
            except Exception as error:  # Pillow lets struct.error and others through
                skipped[source.names[index]] = " ".join(str(error).split()) or repr(error)
            bar.update()
    return Survey(
        *(str(source.where), count, len(order), dict(kinds.most_common()), sizes, skipped),
        *(source.left_out, (len(cuts), sum(cuts) / max(len(cuts), 1))),
        np.array(sample, np.uint8).reshape(-1, image_size, image_size, 3),
    )


def _look(encoded, config):
    """Decode an image: its format, its size when upright, and about its pixels, RGB or L."""
    image = open_image(encoded, config)
    (width, height), kind = image.size, image.format
    on_its_side = image.getexif().get(0x0112, 1) > 4
    size = (height, width) if on_its_side else (width, height)
    check_size(size, config)
    if not config.crop_box:
        image.draft(None, (2 * config.image_size, 2 * config.image_size))  # JPEG: many times faster
    ImageOps.exif_transpose(image, in_place=True)
    return kind, size, to_eight_bit(image)


def _square(image, config):
    image, side = image.convert("RGB"), (config.image_size, config.image_size)
    if box := config.crop_box:
        image = image.crop((box[0], box[1], box[2], box[3]))
    if config.fit == "pad":
        return np.asarray(ImageOps.pad(image, side, color=config.background))
    return np.asarray(ImageOps.fit(image, side) if config.fit == "crop" else image.resize(side))
