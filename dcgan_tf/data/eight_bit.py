"""Open an image and convert it to 8 bits: grayscale, or RGB in the sRGB color space.

Integers of 16 or 32 bits are divided by 256, those of a 12-bit TIFF by 16; floating-point values of
0 to 1 are multiplied by 255. What is transparent is laid on white. A color profile that cannot be
used is ignored. Values outside these ranges, NaN, signed 8 bits, and integers so small that nothing
but black is left of them are refused: their scale is unknown.
"""

import contextlib
import functools
import io
import warnings
from collections.abc import Generator

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.data.forms import HEAD, open_picture, unread_kind

_STRIP = 256  # rows that are flattened at once: whole copies at each step need much memory
_SRGB = ImageCms.createProfile("sRGB")
_SAME = 2  # of 255 levels: profiles that differ less from sRGB are sRGB by another name
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339
_FLIP = Image.Transpose
_TURNS = {  # by EXIF orientation
    **{2: _FLIP.FLIP_LEFT_RIGHT, 3: _FLIP.ROTATE_180, 4: _FLIP.FLIP_TOP_BOTTOM},
    **{5: _FLIP.TRANSPOSE, 6: _FLIP.ROTATE_270, 7: _FLIP.TRANSVERSE, 8: _FLIP.ROTATE_90},
}
_JPEG_END = b"\xff\xd9"
_CUT = 0.01  # share of an image's area from which on it counts as cropped


@contextlib.contextmanager
def quiet_pillow() -> Generator[None]:
    """Drop Pillow's warnings in a block: each bad file has its reason."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


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
        raise BadFile(unread_kind(head=encoded[:HEAD]) or "not an image") from None
    if image.width * image.height > config.max_pixels * 1e6:
        raise BadFile(f"{image.width}x{image.height}, {allowed}")
    return image


def orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 to 8; 1, as stored, without one or if it is damaged."""
    if image.format == "TIFF":  # which Pillow itself turns when it loads it
        return 1
    try:
        value = image.getexif().get(0x0112)
    except Exception:  # Pillow lets SyntaxError, struct.error and others through
        return 1
    return value if value in _TURNS else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """The width and height of an image once it is turned."""
    width, height = image.size
    return (height, width) if orientation(image) > 4 else (width, height)


def set_upright(image: Image.Image, turn: int) -> Image.Image:
    """Turn an image by its EXIF orientation; Pillow's own function fails if other EXIF is bad."""
    return image.transpose(_TURNS[turn]) if turn in _TURNS else image


def to_plain(image: Image.Image, encoded: bytes) -> bytes:
    """Make a JPEG or PNG that every decoder reads alike, in RGB or gray; most come as such.

    What needs more (EXIF orientation, other modes, color profiles, other formats) is converted
    with Pillow and handed on as PNG, which loses nothing.
    """
    turn = orientation(image)
    # TensorFlow prints a line of its own for a JPEG without an end; Pillow raises what is wrong.
    ended = image.format == "PNG" or (image.format == "JPEG" and _JPEG_END in encoded)
    if ended and _is_plain(image) and turn == 1:
        return encoded
    key = image.info.get("transparency")
    if isinstance(key, tuple) and encoded[24] == 16:  # a PNG whose upper 8 bits Pillow reads
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return encode(set_upright(to_eight_bit(image), turn), "PNG", compress_level=1)


def check_size(size: tuple[int, int], config: Config):
    """Raise BadFile where an image, turned upright, is not of the size that is needed."""
    width, height = size
    expected = DATASETS[config.dataset].size
    if expected and size != expected:
        raise BadFile(f"{width}x{height}, expected CelebA's {expected[0]}x{expected[1]}")
    if config.crop_box and (width < config.crop_box[2] or height < config.crop_box[3]):
        raise BadFile(f"{width}x{height}, smaller than the crop box {config.crop}")


def share_cut(size: tuple[int, int], config: Config) -> float:
    """Return the share of an image's area outside of the square that is cut from its center."""
    share = 1 - min(size) / max(size)
    return share if config.fit == "crop" and not config.crop_box and share > _CUT else 0.0


def mean_cut(shares: list[float]) -> tuple[int, float]:
    """Return the number of images that are cropped, and their mean share from `share_cut`."""
    cropped = [share for share in shares if share]
    return len(cropped), sum(cropped) / max(len(cropped), 1)


def _is_plain(image: Image.Image) -> bool:
    """Tell whether the pixels can be used as they are: 8 bits, opaque, gray or sRGB."""
    if image.mode not in ("RGB", "L") or _is_transparent(image) or _is_signed(image):
        return False
    profile = image.info.get("icc_profile")
    return not profile or not _to_srgb(profile, image.mode)


def to_eight_bit(image: Image.Image) -> Image.Image:
    """Convert an image to RGB or L; BadFile for values of an unknown scale."""
    if _is_plain(image):
        return image
    if _is_signed(image):
        raise BadFile("signed 8-bit values, expected unsigned ones")
    profile = image.info.get("icc_profile")
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_scale(np.asarray(image), image))
    gray = image.mode in ("1", "L") and not _is_transparent(image)
    plain = Image.new("L" if gray else "RGB", image.size)
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        plain.paste(_flatten(strip, profile).convert(plain.mode), (0, top))
    return plain


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _tiff_tag(image: Image.Image, number: int) -> object:
    value = getattr(image, "tag_v2", {}).get(number)  # of TIFF files alone
    return value[0] if isinstance(value, tuple) and value else value


def _is_signed(image: Image.Image) -> bool:
    return image.mode == "L" and _tiff_tag(image, _TIFF_SAMPLE_FORMAT) == 2


def _scale(values: np.ndarray, image: Image.Image) -> np.ndarray:
    """Numbers of 16 or 32 bits as uint8. Pillow's own conversion clips instead of scaling."""
    kind, most = ("floating-point", 1) if image.mode == "F" else ("integer", 65535)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= most):  # also for NaN
        raise BadFile(f"{kind} values from {low:g} to {high:g}, expected 0 to {most}")
    if image.mode == "F":
        gray = np.rint(values * 255).astype(np.uint8)
    else:
        shift = 4 if _tiff_tag(image, _TIFF_BITS) == 12 else 8
        if 0 < high < 1 << shift:
            raise BadFile(f"16-bit values of at most {high}: nothing but black in 8 bits")
        gray = (values >> shift).astype(np.uint8)
    if _tiff_tag(image, _TIFF_PHOTOMETRIC) == 0:  # white is zero, which Pillow passes over here
        gray = 255 - gray
    key = image.info.get("transparency")
    return gray if key is None else np.where(values == key, np.uint8(255), gray)


def _flatten(strip: Image.Image, profile: bytes | None) -> Image.Image:
    """A strip of 8 bits as opaque RGB or L in sRGB."""
    strip = strip.convert({"La": "LA", "RGBa": "RGBA"}.get(strip.mode, strip.mode))
    gray, alpha = strip.mode in ("1", "L", "LA"), None
    if _is_transparent(strip):
        strip = strip.convert("LA" if gray else "RGBA")
        alpha = strip.getchannel("A")
    if strip.mode != "CMYK":
        strip = strip.convert("L" if gray else "RGB")
    transform = _to_srgb(profile, strip.mode) if profile else None
    strip = transform.apply(strip) if transform else strip
    if alpha is None:
        return strip
    strip = strip.convert("RGBA")
    strip.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)


@functools.lru_cache(16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Make a transform from an ICC profile to sRGB; None where it fails or changes nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError):  # damaged, or for images of another mode
        return None
    if mode == "CMYK":
        return transform
    # sRGB profiles have many names and a few rounding differences, so their effect decides.
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(16, -1, 3)
    colors = Image.fromarray(grid).convert(mode)
    change = np.asarray(transform.apply(colors), int) - np.asarray(colors.convert("RGB"), int)
    return transform if np.abs(change).max() > _SAME else None
