"""Encoded images to the pixels that training sees: decode, crop, resize, in several threads."""

import contextlib
import io
import os
import threading
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode, open_picture
from dcgan_tf.data.eight_bit import is_plain, to_eight_bit

_CHUNK, _CHUNK_BYTES = 16, 2**20  # images that a thread prepares at once, encoded and pixels


@contextlib.contextmanager
def preparing(config):
    """Yield a function that prepares images in a pool of threads.

    It takes an iterable of (key, encoded bytes or BadFile) and gives an iterator of (key, uint8
    (image_size, image_size, channels) or BadFile) in the same order.

    Args:
        config: config.Config, resolved: dataset, crop, image_size, channels, max_pixels.
    """
    prepare, threads = _Preparer(config), os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # odd files have a reason each
        try:
            pixels = config.image_size**2 * config.channels
            yield lambda pairs: _in_order(pool, prepare, _chunks(pairs, pixels), 2 * threads)
        finally:
            pool.shutdown(cancel_futures=True)


def _chunks(pairs, pixels):
    """Lists of pairs, with the encoded bytes that each holds; `pixels` is what an image becomes."""
    chunk, size = [], 0
    for key, encoded in pairs:
        chunk.append((key, encoded))
        size += 0 if isinstance(encoded, BadFile) else len(encoded)
        if len(chunk) == _CHUNK or size + len(chunk) * pixels > _CHUNK_BYTES:
            yield chunk, size
            chunk, size = [], 0
    yield chunk, size


def _in_order(pool, prepare, chunks, ahead):
    """The results of `prepare` for each chunk: at most `ahead` chunks wait, or WAITING_BYTES."""
    waiting, total = deque(), 0
    for chunk, size in chunks:
        waiting.append((pool.submit(prepare, chunk), size))
        total += size
        while len(waiting) > ahead or (total > limits.WAITING_BYTES and len(waiting) > 1):
            done, size = waiting.popleft()
            total -= size
            yield from done.result()
    while waiting:
        yield from waiting.popleft()[0].result()


class _Preparer:
    """Prepares chunks, lists of (key, encoded), in several threads at once."""

    def __init__(self, config):
        self._config, self._alone = config, threading.Lock()
        shape = (config.image_size, config.image_size, config.channels)

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
        def decode(encoded):
            with tf.device("/CPU:0"):
                return tf.map_fn(
                    lambda image: crop_and_resize(image, config),
                    encoded,
                    parallel_iterations=1,
                    fn_output_signature=tf.TensorSpec(shape, tf.uint8),
                )

        # One call for many images: Python's lock is held between calls and free within them.
        # Traced here, for TensorFlow warns of a function that is traced for each pack.
        self._decode_all = decode.get_concrete_function()

    def __call__(self, chunk):
        """A list of (key, pixels or BadFile)."""
        looked = [(key, self._look(encoded)) for key, encoded in chunk]
        decoded = iter(self._decode([plain for _, plain in looked if isinstance(plain, bytes)]))
        return [(key, next(decoded) if isinstance(x, bytes) else x) for key, x in looked]

    def _decode(self, plain):
        """Pixels, or BadFile, of each; a damaged one fails its chunk, which is then split."""
        try:
            return list(self._decode_all(tf.constant(plain, tf.string)).numpy())
        except tf.errors.ResourceExhaustedError:
            raise MemoryError from None
        except tf.errors.OpError:
            if len(plain) == 1:
                return [BadFile("damaged")]
            return [pixels for one in plain for pixels in self._decode([one])]

    def _look(self, encoded):
        """A JPEG or PNG to decode with others, the pixels of an image decoded alone, or BadFile.

        Two large images side by side would need the memory of both, and what had to be converted
        is no longer bounded by the size of its file.
        """
        if isinstance(encoded, BadFile):
            return encoded
        try:
            image = open_image(encoded, self._config)
            large = image.width * image.height > limits.LARGE_PIXELS
            with self._alone if large else contextlib.nullcontext():
                plain = to_plain(image, encoded)
                _check_size(image, self._config)
                image.close()  # frees its pixels
                return self._decode([plain])[0] if large or plain is not encoded else plain
        except BadFile as bad:
            return bad


def uncropped(encoded: bytes, config) -> np.ndarray:
    """The uint8 pixels of an image that could be prepared, before its crop."""
    plain = to_plain(open_image(encoded, config), encoded)
    return np.asarray(Image.open(io.BytesIO(plain)))


def crop_and_resize(encoded, config):
    """The pixels that training sees.

    INTEGER_ACCURATE decoding and antialiasing keep this within 0.3 gray levels of
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
    pixels = tf.image.resize(pixels, size, "bicubic", antialias=True)  # float32
    pixels = tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)
    return tf.ensure_shape(pixels, (*size, config.channels))


def open_image(encoded, config):
    """A Pillow image, its pixels not decoded yet."""
    if not encoded:
        raise BadFile("empty")
    try:
        image = open_picture(io.BytesIO(encoded))
    except Image.DecompressionBombError:
        raise BadFile(f"larger than --max-pixels {config.max_pixels:g} megapixels") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow lets struct.error and others through for damaged files
        if "cannot identify" not in str(error):
            raise BadFile(_words(error)) from None
        tiff = encoded.startswith((b"II*\0", b"MM\0*"))  # Pillow does not tell what it lacks
        kind = (
            "a TIFF of a depth or layout that is not read; convert it" if tiff else "not a picture"
        )
        raise BadFile(kind) from None
    width, height = image.size
    if width * height > config.max_pixels * 1e6:
        raise BadFile(
            f"{width}x{height}, larger than --max-pixels {config.max_pixels:g} megapixels"
        )
    return image


def _words(error):
    return " ".join(str(error).split()) or type(error).__name__


def to_plain(image, encoded):
    """bytes: a JPEG or PNG that every decoder reads alike, in RGB or gray; most come as such.

    What needs more (EXIF orientation, other modes, color profiles, other formats) is converted
    with Pillow and handed on as PNG, which loses nothing.
    """
    try:
        # 1 is "as stored"; reading EXIF costs nothing where there is none.
        turned = image.getexif().get(0x0112, 1) != 1
        if image.format in ("JPEG", "PNG") and is_plain(image) and not turned:
            return encoded
        key = image.info.get("transparency")
        if isinstance(key, tuple) and encoded[24] == 16:  # a PNG whose upper 8 bits Pillow reads
            image.info["transparency"] = tuple(value >> 8 for value in key)
        ImageOps.exif_transpose(image, in_place=True)
        return encode(to_eight_bit(image), "PNG", compress_level=1)
    except (BadFile, MemoryError):
        raise
    except Exception as error:  # Pillow lets struct.error and others through for damaged files
        raise BadFile(_words(error)) from None


def _check_size(image, config):
    """Raise BadFile where a picture, turned upright, is not of the size that is needed."""
    width, height = image.size
    expected = DATASETS[config.dataset].size
    if expected and image.size != expected:
        raise BadFile(f"{width}x{height}, expected CelebA's {expected[0]}x{expected[1]}")
    if config.crop_box:
        _, _, right, lower = config.crop_box
        if width < right or height < lower:
            raise BadFile(f"{width}x{height}, smaller than the crop box {config.crop}")
