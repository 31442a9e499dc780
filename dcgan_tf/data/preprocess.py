"""Encoded pictures to the pixels that training sees: decode, crop, resize."""

import contextlib
import io
import threading
from collections import deque

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.images import encode, open_picture
from dcgan_tf.data.reading import BadPicture

_STRIP = 256  # rows that are converted at once
_CHUNK, _CHUNK_BYTES = 16, 2**20  # pictures that go to TensorFlow and back at once, at most


def opener(config):
    """A function that looks into an encoded picture; several threads may call it at once.

    Args:
        config: config.Config, resolved: dataset, crop, image_size, channels, max_pixels.

    Returns:
        function of bytes, or of the BadPicture that came in their place. It gives a JPEG or PNG
        that `prepared` takes, or the pixels of a large picture, which it prepares itself, one at
        a time: two side by side would need the memory of both. It raises BadPicture for what
        cannot be used.
    """
    alone = threading.Lock()

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
    def decode(encoded):
        with tf.device("/CPU:0"):
            return crop_and_resize(encoded, config)

    def look(encoded):
        if isinstance(encoded, BadPicture):
            raise encoded
        image = _open(encoded, config)
        large = image.size[0] * image.size[1] > limits.LARGE_PIXELS
        with alone if large else contextlib.nullcontext():
            plain = to_plain(image, encoded)
            _check_size(image, config)
            image.close()  # frees its pixels
            if not large:
                return plain
            try:
                return decode(tf.constant(plain)).numpy()
            except tf.errors.OpError:
                raise BadPicture("damaged") from None

    return look


def prepared(pairs, config, threads):
    """The pixels of many pictures, several at a time, in the order in which they come.

    TensorFlow's threads take them from here, so Python's lock is held for none of the work.

    Args:
        pairs: iterable of (key, what `opener` gave or the BadPicture that it raised); it is read
            in another thread, a few chunks ahead.
        config: config.Config, resolved: crop, image_size, channels.
        threads: how many pictures are prepared side by side, or wait for their turn to come out.

    Yields:
        (key, uint8 (image_size, image_size, channels), or BadPicture).
    """
    waiting, failed = deque(), []  # (key, what is already known of it, or None)

    def chunks():
        chunk = []
        try:
            for number, (key, found) in enumerate(pairs):
                plain = found if isinstance(found, bytes) else b""
                waiting.append((key, None if plain else found))
                chunk.append((number, plain))
                if len(chunk) == _CHUNK or sum(len(plain) for _, plain in chunk) > _CHUNK_BYTES:
                    yield tuple(zip(*chunk, strict=True))
                    chunk = []
            if chunk:
                yield tuple(zip(*chunk, strict=True))
        except BaseException as error:  # TensorFlow would make an error of its own of it
            failed.append(error)

    shape = (config.image_size, config.image_size, config.channels)

    @tf.autograph.experimental.do_not_convert  # which takes time, and leaves files where killed
    def decode(number, encoded):
        return number, tf.cond(
            encoded == b"",
            lambda: tf.zeros(shape, tf.uint8),
            lambda: crop_and_resize(encoded, config),
        )

    signature = (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None,), tf.string))
    dataset = tf.data.Dataset.from_generator(chunks, output_signature=signature).unbatch()
    # A parallel map that has to be deterministic TensorFlow makes a plain one of, and complains.
    several = {} if config.deterministic else {"num_parallel_calls": threads, "deterministic": True}
    dataset = dataset.map(decode, **several)
    dataset = dataset.ignore_errors().batch(_CHUNK)  # a damaged picture's number is missing then
    dataset = dataset.with_options(_options(threads))
    due = 0
    for numbers, pictures in dataset.as_numpy_iterator():
        for number, pixels in zip(numbers, pictures, strict=True):
            for _ in range(due, number):
                yield waiting.popleft()[0], BadPicture("damaged")
            key, found = waiting.popleft()
            yield key, pixels if found is None else found
            due = number + 1
    if failed:
        raise failed[0]
    while waiting:
        yield waiting.popleft()[0], BadPicture("damaged")


def _options(threads):
    """tf.data.Options: a picture is too little work to be shared by several threads."""
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread can outlive the program (pipeline.settled)
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    return options


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
    pixels = tf.image.resize(pixels, size, "bicubic", antialias=True)  # float32
    pixels = tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)
    return tf.ensure_shape(pixels, (*size, config.channels))


def _open(encoded, config):
    """A Pillow image, its pixels not decoded yet."""
    if not encoded:
        raise BadPicture("empty")
    try:
        image = open_picture(io.BytesIO(encoded))
    except Image.DecompressionBombError:
        raise BadPicture(f"larger than --max-pixels {config.max_pixels:g} megapixels") from None
    except Exception as error:  # Pillow lets struct.error and others through for damaged files
        kind = "not a picture" if "cannot identify" in str(error) else _words(error)
        raise BadPicture(kind) from None
    width, height = image.size
    if width * height > config.max_pixels * 1e6:
        raise BadPicture(
            f"{width}x{height}, larger than --max-pixels {config.max_pixels:g} megapixels"
        )
    return image


def _words(error):
    return " ".join(str(error).split()) or type(error).__name__


def to_plain(image, encoded):
    """bytes: a JPEG or PNG that every decoder reads alike, in RGB or grey; most come as such.

    What needs more (EXIF orientation, transparency, CMYK, 16 bits, palettes, other formats) is
    converted with Pillow and handed on as PNG, which loses nothing.
    """
    try:
        # 1 is "as stored"; reading EXIF costs nothing where there is none.
        turned = image.getexif().get(0x0112, 1) != 1
        plain = image.format in ("JPEG", "PNG") and image.mode in ("RGB", "L")
        if plain and not turned and not _is_transparent(image):
            return encoded
        ImageOps.exif_transpose(image, in_place=True)
        return encode(_to_eight_bit(image), "PNG", compress_level=1)
    except Exception as error:  # Pillow lets struct.error and others through for damaged files
        raise BadPicture(_words(error)) from None


def _to_eight_bit(image):
    """An image in RGB or L, strip by strip: whole copies at each step would need much memory."""
    sixteen, transparent = image.mode.startswith("I"), _is_transparent(image)
    mode = "L" if sixteen or (image.mode in ("1", "L") and not transparent) else "RGB"
    if image.mode == mode and not transparent:
        return image
    plain = Image.new(mode, image.size)
    width, height = image.size
    for top in range(0, height, _STRIP):
        strip = image.crop((0, top, width, min(top + _STRIP, height)))
        if sixteen:  # Pillow's own convert would clip, not scale
            values = np.asarray(strip, np.uint32 if image.mode == "I" else None)
            strip = Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8))
        elif transparent:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        plain.paste(strip.convert(mode), (0, top))
    return plain


def _is_transparent(image):
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _check_size(image, config):
    """Raise BadPicture where a picture, turned upright, is not of the size that is needed."""
    width, height = image.size
    expected = DATASETS[config.dataset].size
    if expected and image.size != expected:
        raise BadPicture(f"{width}x{height}, expected CelebA's {expected[0]}x{expected[1]}")
    if config.crop_box:
        _, _, right, lower = config.crop_box
        if width < right or height < lower:
            raise BadPicture(f"{width}x{height}, smaller than the crop box {config.crop}")
