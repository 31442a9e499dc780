"""Decode, crop and resize encoded images for training, in several threads."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from PIL import ImageColor

from dcgan_tf.common.config import Config
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.data.eight_bit import (
    check_size,
    open_image,
    quiet_pillow,
    share_cut,
    to_plain,
    upright_size,
)

Encoded = tuple[int, bytes | BadFile]  # with the image's key
Prepared = tuple[int, np.ndarray | BadFile, float]
LARGE_PIXELS = 8_000_000  # larger images are decoded one at a time, others in parallel
WAITING_BYTES = 64 * 2**20  # limit of encoded images that wait to be decoded
# Limits of a chunk, which a thread prepares at once: images, and bytes of their files and pixels.
_CHUNK, _CHUNK_BYTES = 16, 2**20


@contextlib.contextmanager
def preparing(config: Config) -> Generator[Callable[[Iterable[Encoded]], Iterator[Prepared]]]:
    """Yield a function that prepares images in a pool of threads.

    It takes pairs (key, encoded bytes or BadFile) and yields, in the same order, (key, uint8
    (image_size, image_size, channels) or BadFile, cropped fraction of the area).
    """
    prepare, threads = _Preparer(config), os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool, quiet_pillow():
        try:
            yield lambda pairs: _in_order(pool, prepare, pairs, 2 * threads)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, prepare: "_Preparer", pairs: Iterable[Encoded], ahead: int
) -> Iterator[Prepared]:
    """Prepare pairs in chunks; at most `ahead` chunks, or WAITING_BYTES of files, wait."""
    waiting, chunk, size, total = deque(), [], 0, 0
    for key, encoded in pairs:
        chunk.append((key, encoded))
        size += 0 if isinstance(encoded, BadFile) else len(encoded)
        if len(chunk) < _CHUNK and size + len(chunk) * prepare.pixel_bytes <= _CHUNK_BYTES:
            continue
        waiting.append((pool.submit(prepare, chunk), size))
        total += size
        chunk, size = [], 0
        while len(waiting) > ahead or (total > WAITING_BYTES and len(waiting) > 1):
            done, bytes_read = waiting.popleft()
            total -= bytes_read
            yield from done.result()
    waiting.append((pool.submit(prepare, chunk), size))
    for done, _ in waiting:
        yield from done.result()


class _Preparer:
    """Prepares chunks, lists of (key, encoded), in several threads at once."""

    def __init__(self, config: Config):
        self.pixel_bytes = config.image_size**2 * config.channels
        self._config, self._alone = config, threading.Lock()
        shape = (config.image_size, config.image_size, config.channels)

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
        def decode(encoded: tf.Tensor) -> tf.Tensor:
            with tf.device("/CPU:0"):
                return tf.map_fn(
                    lambda image: crop_and_resize(image, config),
                    encoded,
                    parallel_iterations=1,
                    fn_output_signature=tf.TensorSpec(shape, tf.uint8),
                )

        # One call for many images, because TensorFlow releases Python's lock within a call. Traced
        # here, because TensorFlow would warn about a function that is retraced for each pack.
        self._decode_all = decode.get_concrete_function()

    def __call__(self, chunk: list[Encoded]) -> list[Prepared]:
        """Return a list of (key, pixels or BadFile, cropped fraction)."""
        looked = [(k, *self._look(x)) if isinstance(x, bytes) else (k, x, 0) for k, x in chunk]
        decoded = iter(self._decode([plain for _, plain, _ in looked if isinstance(plain, bytes)]))
        return [(key, next(decoded) if isinstance(x, bytes) else x, cut) for key, x, cut in looked]

    def _decode(self, plain: list[bytes]) -> list[np.ndarray | BadFile]:
        """Return pixels or BadFile for each image; if one fails, all are decoded one by one."""
        try:
            return list(self._decode_all(tf.constant(plain, tf.string)).numpy())
        except tf.errors.ResourceExhaustedError:
            raise MemoryError from None
        except tf.errors.OpError:
            if len(plain) == 1:
                return [BadFile("damaged")]
            return [pixels for one in plain for pixels in self._decode([one])]

    def _look(self, encoded: bytes) -> tuple[bytes | np.ndarray | BadFile, float]:
        """Return (JPEG or PNG to decode in a chunk, or pixels, or BadFile; cropped fraction).

        Large images are decoded here, one at a time, to save memory. So are converted ones, whose
        size is no longer limited by that of the file.
        """
        try:
            image = open_image(encoded, self._config)
            large = image.width * image.height > LARGE_PIXELS
            with self._alone if large else contextlib.nullcontext():
                plain = to_plain(image, encoded)
                size = upright_size(image)
                check_size(size, self._config)
                cut = share_cut(size, self._config)
                image.close()  # frees the pixels
                return self._decode([plain])[0] if large or plain is not encoded else plain, cut
        except BadFile as bad:
            return bad, 0
        except MemoryError:
            raise
        except Exception as error:  # for damaged files Pillow raises struct.error and others
            return BadFile(" ".join(str(error).split()) or type(error).__name__), 0


def crop_and_resize(encoded: tf.Tensor, config: Config) -> tf.Tensor:
    """Decode a JPEG or PNG, a scalar string, to uint8 (image_size, image_size, channels).

    With INTEGER_ACCURATE decoding and antialiasing, the result is within 0.3 gray levels of
    Pillow's `crop(box).resize(size, BICUBIC)`; TensorFlow's defaults differ by more.
    """
    pixels = tf.io.decode_jpeg(encoded, config.channels, dct_method="INTEGER_ACCURATE")  # PNG too
    if config.crop_box:
        left, upper, right, lower = config.crop_box
        pixels = pixels[upper:lower, left:right]
    elif config.fit == "crop":
        height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
        side = tf.minimum(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    size = (config.image_size, config.image_size)
    if config.fit == "pad":
        pixels = _resize_and_pad(pixels, config)
    else:
        pixels = tf.image.resize(pixels, size, "bicubic", antialias=True)  # float32
    pixels = tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)
    return tf.ensure_shape(pixels, (*size, config.channels))


def _resize_and_pad(pixels: tf.Tensor, config: Config) -> tf.Tensor:
    """Resize the longer side to image_size, and center the image on the background."""
    size, shape = config.image_size, tf.shape(pixels)[:2]
    sides = tf.maximum(1, tf.cast(tf.round(shape * size / tf.reduce_max(shape)), tf.int32))
    pixels = tf.image.resize(pixels, sides, "bicubic", antialias=True)
    before = (size - sides) // 2
    around = tf.stack([before, size - sides - before], axis=1)
    mode = "RGB" if config.channels == 3 else "L"
    color = tf.cast(ImageColor.getcolor(config.background, mode), tf.float32)
    return tf.pad(pixels - color, tf.concat([around, [[0, 0]]], axis=0)) + color
