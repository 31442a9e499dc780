"""Convert an image of any Pillow mode to 8 bits: grayscale, or RGB in the sRGB color space.

| values in the file | become |
|---|---|
| 8 bits or fewer, palettes, YCbCr, CMYK, LAB, HSV | RGB or grayscale as Pillow converts them |
| integers of 16 or 32 bits, 0 to 65535 | their upper 8 bits: divided by 256, rounded down |
| TIFF of 12 bits, 0 to 4095 | their upper 8 bits: divided by 16, rounded down |
| floating point, 0 to 1 | times 255, rounded |
| transparent | laid on white |
| color profile other than sRGB | converted to sRGB; a profile that cannot be used is ignored |

Values outside these ranges, NaN, signed 8 bits, and integers so small that nothing but black is
left of them are refused: their scale is unknown.
"""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

from dcgan_tf.common.foreign import BadFile

_STRIP = 256  # rows that are flattened at once: whole copies at each step need much memory
_SRGB = ImageCms.createProfile("sRGB")
_SAME = 2  # of 255 levels: profiles that differ less from sRGB are sRGB by another name
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339


def is_plain(image: Image.Image) -> bool:
    """Return whether the pixels can be used as they are: 8 bits, opaque, gray or sRGB."""
    return (
        image.mode in ("RGB", "L")
        and not _is_transparent(image)
        and not _is_signed(image)
        and (not (profile := image.info.get("icc_profile")) or not _to_srgb(profile, image.mode))
    )


def to_eight_bit(image: Image.Image) -> Image.Image:
    """Convert an image to RGB or L.

    Raises:
        BadFile: values of an unknown scale.
    """
    if is_plain(image):
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


def _is_transparent(image):
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _tiff_tag(image, number):
    tags = getattr(image, "tag_v2", {})  # of TIFF files alone
    value = tags.get(number)
    return value[0] if isinstance(value, tuple) and value else value


def _is_signed(image):
    return image.mode == "L" and _tiff_tag(image, _TIFF_SAMPLE_FORMAT) == 2


def _scale(values, image):
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


def _flatten(strip, profile):
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
def _to_srgb(profile, mode):
    """A transform of a profile's colors to sRGB; None where it changes nothing or cannot be made.

    Args:
        profile: bytes of an ICC profile; mode: L, RGB or CMYK, of the image.
    """
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
