"""One encoded picture to the pixels that training sees: decode, crop, resize."""

import io
import warnings

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from dcgan_tf.common.config import ALIGNED_DATASETS, CELEBA_SIZE
from dcgan_tf.common.images import encode

FILTER = "bicubic, antialiased"
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")


class BadPicture(Exception):
    """Why a file cannot be used."""


def crop_and_resize(encoded, config):
    """The pixels that training sees.

    INTEGER_ACCURATE decoding and antialiasing keep this within 0.3 grey levels of
    Pillow's `crop(box).resize(size, BICUBIC)`; TensorFlow's defaults are off by more.

    Args:
        encoded: bytes of a JPEG or PNG, scalar string tensor.
        config: config.Config, resolved: crop, image_size, channels.

    Returns:
        uint8 tensor (image_size, image_size, channels).
    """
    pixels = tf.io.decode_jpeg(encoded, config.channels, dct_method="INTEGER_ACCURATE")  # PNG too
    if config.crop_box:
        left, upper, right, lower = config.crop_box
        pixels = pixels[upper:lower, left:right]
    else:
        height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
        side = tf.minimum(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    size = (config.image_size, config.image_size)
    pixels = tf.image.resize(tf.cast(pixels, tf.float32), size, "bicubic", antialias=True)
    pixels = tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)
    return tf.ensure_shape(pixels, (*size, config.channels))


def to_plain(encoded, config):
    """bytes: a JPEG or PNG that every decoder reads alike, in RGB or grey; most come as such.

    What needs more (EXIF orientation, transparency, CMYK, 16 bits, palettes, other formats) is
    converted with Pillow and handed on as PNG, which loses nothing.
    """
    if not encoded:
        raise BadPicture("empty or unreadable")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(encoded))
            # 1 is "as stored"; reading EXIF costs nothing where there is none.
            turned = image.getexif().get(0x0112, 1) != 1
            transparent = "transparency" in image.info
            plain = image.format in ("JPEG", "PNG") and image.mode in ("RGB", "L")
            if not plain or turned or transparent:
                image = _to_eight_bit(ImageOps.exif_transpose(image))
                encoded = encode(image, "PNG", compress_level=1)
    except Exception as error:  # Pillow lets struct.error and others through for damaged files
        kind = "not a picture" if "cannot identify" in str(error) else str(error)
        raise BadPicture(kind) from None
    _check_size(image.size, config)
    return encoded


def _to_eight_bit(image):
    if image.mode in _SIXTEEN_BIT:  # Pillow's own convert would clip, not scale
        return Image.fromarray((np.asarray(image, np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _check_size(size, config):
    width, height = size
    if config.crop_box:
        _, _, right, lower = config.crop_box
        if width < right or height < lower:
            raise BadPicture(f"{width}x{height}, smaller than the crop box {config.crop}")
    if config.dataset in ALIGNED_DATASETS and size != CELEBA_SIZE:
        raise BadPicture(f"{width}x{height}, expected CelebA's {CELEBA_SIZE[0]}x{CELEBA_SIZE[1]}")
