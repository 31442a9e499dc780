"""Encoded images to the pixels that training sees: decode, crop, resize, in several threads."""

import contextlib
import io
import os
import re
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.data.eight_bit import is_plain, to_eight_bit
from dcgan_tf.data.forms import open_picture

LARGE_PIXELS = 8_000_000  # images above are decoded one at a time, others side by side
WAITING_BYTES = 64 * 2**20  # encoded images that wait for their decoding
_CHUNK, _CHUNK_BYTES = 16, 2**20  # images that a thread prepares at once, encoded and pixels
_UNREAD = {  # by their first bytes, for Pillow does not tell what it lacks
    rb"II\*\0|MM\0\*": "a TIFF of a depth or layout that is not read; convert it",
    rb"\0\0\0\x0cjP|\xffO\xffQ": "a JPEG 2000 file, which is not read; convert it",
    rb".{4}ftyp(hei|mif)": "a HEIC file, which is not read here; convert it",
}


@contextlib.contextmanager
def preparing(config: Config) -> Iterator[Callable[[Iterable], Iterator]]:
    """Yield a function that prepares images in a pool of threads.

    It takes an iterable of (key, encoded bytes or BadFile) and gives an iterator of (key, uint8
    (image_size, image_size, channels) or BadFile) in the same order.
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
        while len(waiting) > ahead or (total > WAITING_BYTES and len(waiting) > 1):
            done, size = waiting.popleft()
            total -= size
            yield from done.result()
    for done, _ in waiting:
        yield from done.result()


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
        try:
            image = open_image(encoded, self._config)
            large = image.width * image.height > LARGE_PIXELS
            with self._alone if large else contextlib.nullcontext():
                plain = to_plain(image, encoded)
                _check_size(image, self._config)
                image.close()  # frees its pixels
                return self._decode([plain])[0] if large or plain is not encoded else plain
        except BadFile as bad:
            return bad
        except MemoryError:
            raise
        except Exception as error:  # Pillow lets struct.error and others through for damaged files
            return BadFile(" ".join(str(error).split()) or type(error).__name__)


def before_resizing(encoded: bytes, config: Config) -> tuple[str, np.ndarray, np.ndarray]:
    """The Pillow mode of an image that could be prepared, its uint8 pixels, those in its crop."""
    image = open_image(encoded, config)
    mode, plain = image.mode, io.BytesIO(to_plain(image, encoded))
    pixels = np.asarray(Image.open(plain))
    return mode, pixels, np.asarray(_crop(pixels, config))


def crop_and_resize(encoded: tf.Tensor, config: Config) -> tf.Tensor:
    """The pixels that training sees.

    INTEGER_ACCURATE decoding and antialiasing keep this within 0.3 gray levels of
    Pillow's `crop(box).resize(size, BICUBIC)`; TensorFlow's defaults are off by more.

    Args:
        encoded: a JPEG or PNG, scalar string.

    Returns:
        uint8 (image_size, image_size, channels).
    """
    pixels = tf.io.decode_jpeg(encoded, config.channels, dct_method="INTEGER_ACCURATE")  # PNG too
    pixels = _crop(pixels, config)
    size = (config.image_size, config.image_size)
    pixels = tf.image.resize(pixels, size, "bicubic", antialias=True)  # float32
    pixels = tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)
    return tf.ensure_shape(pixels, (*size, config.channels))


def _crop(pixels, config):
    if config.crop_box:
        left, upper, right, lower = config.crop_box
        return pixels[upper:lower, left:right]
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def open_image(encoded: bytes | BadFile, config: Config) -> Image.Image:
    """Open an image without decoding its pixels."""
    if isinstance(encoded, BadFile):
        raise encoded
    if not encoded:
        raise BadFile("empty")
    allowed = f"larger than --max-pixels {config.max_pixels:g} megapixels"
    try:
        image = open_picture(io.BytesIO(encoded))
    except Image.DecompressionBombError:
        raise BadFile(allowed) from None
    except UnidentifiedImageError:
        kinds = (kind for start, kind in _UNREAD.items() if re.match(start, encoded, re.DOTALL))
        raise BadFile(next(kinds, "not an image")) from None
    if image.width * image.height > config.max_pixels * 1e6:
        raise BadFile(f"{image.width}x{image.height}, {allowed}")
    return image


def to_plain(image: Image.Image, encoded: bytes) -> bytes:
    """Make a JPEG or PNG that every decoder reads alike, in RGB or gray; most come as such.

    What needs more (EXIF orientation, other modes, color profiles, other formats) is converted
    with Pillow and handed on as PNG, which loses nothing.
    """
    # 1 is "as stored"; reading EXIF costs nothing where there is none.
    turned = image.getexif().get(0x0112, 1) != 1
    if image.format in ("JPEG", "PNG") and is_plain(image) and not turned:
        return encoded
    key = image.info.get("transparency")
    if isinstance(key, tuple) and encoded[24] == 16:  # a PNG whose upper 8 bits Pillow reads
        image.info["transparency"] = tuple(value >> 8 for value in key)
    ImageOps.exif_transpose(image, in_place=True)
    return encode(to_eight_bit(image), "PNG", compress_level=1)


def _check_size(image, config):
    """Raise BadFile where an image, turned upright, is not of the size that is needed."""
    width, height = image.size
    expected = DATASETS[config.dataset].size
    if expected and image.size != expected:
        raise BadFile(f"{width}x{height}, expected CelebA's {expected[0]}x{expected[1]}")
    if config.crop_box and (width < config.crop_box[2] or height < config.crop_box[3]):
        raise BadFile(f"{width}x{height}, smaller than the crop box {config.crop}")
