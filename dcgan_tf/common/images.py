"""Images as arrays and files: grids, PNG, GIF."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.foreign import open_regular

PALETTE_FRAMES = 16  # whose colors make the palette of a GIF
GAP = 2  # pixels between the images of a grid
PNG_LEVEL = 2  # of zlib; the default 6 takes up to twice as long and saves 5%
GRID_WIDTH = 500  # least width of an enlarged grid, pixels; 64 images of 64 x 64 have 526


def grid(images: np.ndarray, columns: int | None = None, gap: int = GAP) -> np.ndarray:
    """Arrange images, uint8 (n, height, width, channels), in rows on white, by default a square."""
    count, height, width, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    canvas = np.full(shape, 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def read_grid(path: Path) -> Image.Image:
    """Read a grid in the original size of its images; raises BadFile or one of Pillow's errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with open_regular(path) as file, Image.open(file, formats=("PNG",)) as image:
            image.load()
            scale = max(int(image.info.get("scale", 1)), 1)
            side = image.width // scale, image.height // scale
            return image.resize(side, Image.Resampling.NEAREST)


def default_scale(width: int, wanted: int = GRID_WIDTH) -> int:
    """The smallest whole factor that makes `width` pixels at least `wanted`."""
    return -(-wanted // width)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Make each pixel of (height, width, channels) a square of scale x scale."""
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def to_pillow(image: np.ndarray) -> Image.Image:
    """Convert uint8 (height, width, 1 or 3)."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def save_png(path: Path, image: np.ndarray, text: dict | None = None, sync: bool = True):
    """Write uint8 (height, width, 1 or 3) as PNG with text keys, whole or not at all."""
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, str(value))
    with replacing(path, sync) as temporary:
        to_pillow(image).save(temporary, pnginfo=info, compress_level=PNG_LEVEL)


def evenly(items: Sequence, most: int) -> list:
    """Choose at most `most` evenly spaced items, with the first and the last."""
    chosen = np.linspace(0, len(items) - 1, min(len(items), most)).round().astype(int)
    return [items[i] for i in chosen]


def in_one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Convert RGB images to one palette for all: with one for each, the colors of a GIF flicker."""
    parts = [np.asarray(frame) for frame in evenly(frames, PALETTE_FRAMES)]
    palette = to_pillow(np.concatenate(parts, axis=1)).quantize(256)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def encode(image: Image.Image, kind: str, **options) -> bytes:
    """Encode a Pillow image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
