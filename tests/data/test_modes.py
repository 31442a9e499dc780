"""Images of every mode, depth, sign and color profile: golden values, or skipped by name."""

import struct

import numpy as np
import pytest
from image_files import (
    ADOBE_RGB,
    SRGB,
    cmyk_profile,
    gamma,
    gray_profile,
    png_file,
    rgb_profile,
    srgb_curve,
    tiff_file,
)
from PIL import Image

from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.data.eight_bit import to_eight_bit
from dcgan_tf.data.preprocess import preparing


def prepare(files, channels=3):
    """{name: pixels, or the reason why there are none} of {name: bytes}, all 8x8."""
    config = ImageConfig(dataset="folder", crop="center", image_size=8, channels=channels)
    with preparing(config) as prepare:
        results = list(prepare(files.items()))
    return {n: str(p) if isinstance(p, BadFile) else p.astype(int) for n, p, _ in results}


# Golden values: two pixels in a mode of Pillow's, and the gray levels or RGB that they become.
GOLDEN = {
    "1": ([0, 255], [0, 255]),
    "L": ([3, 250], [3, 250]),
    "RGB": ([(1, 2, 3), (250, 128, 7)], [(1, 2, 3), (250, 128, 7)]),
    "RGBX": ([(1, 2, 3, 0), (250, 128, 7, 9)], [(1, 2, 3), (250, 128, 7)]),
    "RGBA": ([(9, 9, 9, 0), (200, 100, 0, 51)], [(255, 255, 255), (244, 224, 204)]),
    "RGBa": ([(0, 0, 0, 0), (40, 20, 0, 51)], [(255, 255, 255), (244, 224, 204)]),
    "LA": ([(9, 0), (100, 51)], [(255, 255, 255), (224, 224, 224)]),
    "La": ([(0, 0), (20, 51)], [(255, 255, 255), (224, 224, 224)]),
    "CMYK": ([(0, 0, 0, 0), (255, 0, 51, 0)], [(255, 255, 255), (0, 255, 204)]),
    "YCbCr": ([(0, 128, 128), (76, 85, 255)], [(0, 0, 0), (254, 0, 0)]),
    "HSV": ([(0, 255, 255), (85, 255, 128)], [(255, 0, 0), (0, 128, 0)]),
    "LAB": ([(0, 128, 128), (138, 209, 198)], [(0, 0, 0), (255, 0, 0)]),
    "I": ([255, 65535], [0, 255]),
    "I;16": ([511, 65535], [1, 255]),
    "I;16B": ([511, 65535], [1, 255]),
    "F": ([0.5, 1.0], [128, 255]),
}


@pytest.mark.parametrize("mode", GOLDEN)
def test_every_mode_has_its_golden_values(mode):
    values, expected = GOLDEN[mode]
    if mode.startswith("I;16"):
        order = ">" if mode == "I;16B" else "<"
        image = Image.frombytes(mode, (2, 1), np.array(values, f"{order}u2").tobytes())
    else:
        image = Image.new(mode, (2, 1))
        image.putdata(values)
    result = to_eight_bit(image)
    assert result.mode == ("L" if isinstance(expected[0], int) else "RGB")
    tolerance = {"LAB": 5, "YCbCr": 1, "RGBa": 1, "La": 1}.get(mode, 0)
    np.testing.assert_allclose(np.asarray(result)[0], expected, atol=tolerance)


@pytest.mark.parametrize(
    ("mode", "data", "transparency", "expected"),
    [
        ("P", [0, 1], None, [[10, 20, 30], [200, 100, 0]]),
        ("PA", [(0, 255), (1, 51)], None, [[10, 20, 30], [244, 224, 204]]),
        ("P", [0, 1], 0, [[255] * 3, [200, 100, 0]]),
        ("P", [0, 1], b"\0\xff", [[255] * 3, [200, 100, 0]]),
    ],
)
def test_palettes_have_their_golden_values(mode, data, transparency, expected):
    image = Image.new(mode, (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata(data)
    image.info |= {} if transparency is None else {"transparency": transparency}
    assert np.asarray(to_eight_bit(image))[0].tolist() == expected


# Files

RAMP = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
COLORS = np.stack([RAMP, RAMP.T, RAMP[::-1]], -1)
HIGH, HIGH_COLORS = (RAMP >> 8).astype(int), (COLORS >> 8).astype(int)
ALPHA = np.where(np.arange(64).reshape(8, 8, 1) % 2, 65535, 0).astype(np.uint16)


def gray(values):
    return np.stack([values] * 3, -1)


def on_white(values):
    return np.where(ALPHA > 0, values, 255)


def packed_12_bits(values):
    pairs = values.reshape(-1, 2).astype(int)
    first, second = pairs[:, 0], pairs[:, 1]
    parts = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    return np.stack(parts, -1).astype(np.uint8).tobytes()


def tiff(values, dtype, **options):
    return tiff_file(values.astype(dtype).tobytes(), (8, 8), **options)


BLACK = np.zeros((8, 8))
KEY, KEYS = (struct.pack(f">{x[3, 4].size}H", *x[3, 4].flat) for x in (RAMP, COLORS))
KEYED = np.where((COLORS[3, 4] == COLORS).all(-1, keepdims=True), 255, HIGH_COLORS)
WITH_ALPHA, COLORS_WITH_ALPHA = (np.concatenate([x, ALPHA], -1) for x in (RAMP[..., None], COLORS))
FILES = {
    "black": (tiff(BLACK, "<u2", bits=16), gray(BLACK)),
    "dark": (tiff(BLACK + 300, "<u2", bits=16), gray(BLACK + 1)),
    "16-bit gray PNG": (png_file(16, 0, RAMP), gray(HIGH)),
    "16-bit gray PNG with alpha": (png_file(16, 4, WITH_ALPHA), on_white(gray(HIGH))),
    "16-bit gray PNG, a level transparent": (
        png_file(16, 0, RAMP, [(b"tRNS", KEY)]),
        gray(np.where(RAMP[3, 4] == RAMP, 255, HIGH)),
    ),
    "16-bit RGB PNG, a color transparent": (png_file(16, 2, COLORS, [(b"tRNS", KEYS)]), KEYED),
    "16-bit RGB PNG": (png_file(16, 2, COLORS), HIGH_COLORS),
    "16-bit RGBA PNG": (png_file(16, 6, COLORS_WITH_ALPHA), on_white(HIGH_COLORS)),
    "16-bit gray TIFF": (tiff(RAMP, "<u2", bits=16), gray(HIGH)),
    "white is zero": (tiff(RAMP, "<u2", bits=16, photometric=0), gray(255 - HIGH)),
    "16-bit RGB TIFF": (tiff(COLORS, "<u2", bits=16, samples=3, photometric=2), HIGH_COLORS),
    "12-bit gray TIFF": (tiff_file(packed_12_bits(RAMP >> 4), (8, 8), bits=12), gray(HIGH)),
    "32-bit TIFF of 16-bit values": (tiff(RAMP, "<u4", bits=32), gray(HIGH)),
    "float TIFF of 0 to 1": (tiff(RAMP / 65535, "<f4", bits=32, kind=3), gray(RAMP / 257)),
    "PGM of 16 bits": (b"P5 8 8 65535\n" + RAMP.astype(">u2").tobytes(), gray(HIGH)),
}
REFUSED = {
    "signed 8 bits": (tiff(RAMP / 257 - 128, "i1", bits=8, kind=2), "signed 8-bit values"),
    "float above 1": (tiff(RAMP / 257, "<f4", bits=32, kind=3), "0 to 255, expected 0 to 1"),
    "float below 0": (tiff(RAMP / 65535 - 0.5, "<f4", bits=32, kind=3), "from -0.5 to 0.5"),
    "NaN": (tiff(np.full((8, 8), np.nan), "<f4", bits=32, kind=3), "nan"),
    "negative": (tiff(RAMP - 32768.0, "<i2", bits=16, kind=2), "from -32768 to 32767"),
    "full 32 bits": (tiff(RAMP * 65536.0, "<u4", bits=32), "expected 0 to 65535"),
    "64-bit float": (tiff(RAMP / 65535, "<f8", bits=64, kind=3), "a TIFF of a depth or layout"),
    "8 bits in 16": (tiff(RAMP >> 8, "<u2", bits=16), "at most 255: nothing but black"),
    "8 bits in 32": (tiff(RAMP >> 8, "<i4", bits=32, kind=2), "at most 255"),
}


def test_every_depth_is_scaled_as_stated_and_other_scales_are_refused_with_their_range():
    results = prepare({name: content for name, (content, _) in (FILES | REFUSED).items()})
    for name, (_, expected) in FILES.items():
        assert not isinstance(results[name], str), results[name]
        np.testing.assert_allclose(results[name], expected, atol=1, err_msg=name)
    for name, (_, words) in REFUSED.items():
        assert isinstance(results[name], str) and words in results[name], (name, results[name])


# Profiles


def to_srgb(linear):
    curve = np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055
    )
    return 255 * np.clip(curve, 0, 1)


ADOBE = rgb_profile(ADOBE_RGB, gamma(2.19921875))
PASTELS = np.random.default_rng(0).integers(90, 180, (8, 8, 3), np.uint8)


def adobe_as_srgb(colors):
    """The textbook's way: linear, through XYZ, encoded."""
    xyz = (np.array(colors) / 255) ** 2.19921875 @ np.array(ADOBE_RGB)
    return to_srgb(xyz @ np.linalg.inv(np.array(SRGB)))


def jpeg(image, **options):
    return encode(image, "JPEG", quality=95, **options)


def test_another_color_space_becomes_srgb():
    image, expected = Image.fromarray(PASTELS), adobe_as_srgb(PASTELS)
    assert np.abs(expected - PASTELS).max() > 15  # it does make a difference
    results = prepare({
        "png": encode(image, "PNG", icc_profile=ADOBE),
        "tiff": encode(image, "TIFF", icc_profile=ADOBE),
        "webp": encode(image, "WEBP", lossless=True, icc_profile=ADOBE),
        "alpha": encode(image.convert("RGBA"), "PNG", icc_profile=ADOBE),
        "palette": encode(image.quantize(64), "PNG", icc_profile=ADOBE),
    })  # fmt: skip
    for name, values in results.items():
        np.testing.assert_allclose(values, expected, atol=2, err_msg=name)
    flat = Image.new("RGB", (8, 8), (60, 180, 90))
    (jpeg_values,) = prepare({"a": jpeg(flat, icc_profile=ADOBE)}).values()
    expected = np.tile(adobe_as_srgb([60, 180, 90]), (8, 8, 1))
    np.testing.assert_allclose(jpeg_values, expected, atol=4)


@pytest.mark.parametrize("kind", ["srgb", "broken", "empty", "of gray images"])
def test_srgb_and_profiles_that_cannot_be_used_leave_the_exact_pixels(kind, monkeypatch):
    profile = {
        "srgb": rgb_profile(SRGB, srgb_curve()),
        "broken": ADOBE[:100] + b"\xff" * 300,
        "empty": b"\0",
        "of gray images": gray_profile(gamma(1.0)),
    }[kind]
    image = Image.fromarray(PASTELS)
    files = {
        "a.jpg": jpeg(image, icc_profile=profile),
        "b.png": encode(image, "PNG", icc_profile=profile),
    }
    monkeypatch.setattr("dcgan_tf.data.eight_bit.encode", lambda *a, **k: pytest.fail("converted"))
    results = prepare(files)
    np.testing.assert_array_equal(results["a.jpg"], prepare({"a.jpg": jpeg(image)})["a.jpg"])
    np.testing.assert_array_equal(results["b.png"], PASTELS)


def test_gray_with_a_profile_becomes_srgb():
    levels = np.arange(64, 128, dtype=np.uint8).reshape(8, 8)
    image, profile = Image.fromarray(levels), gray_profile(gamma(1.0))
    wide = Image.fromarray(levels.astype(np.uint16) << 8)
    files = {
        "png": encode(image, "PNG", icc_profile=profile),
        "alpha": encode(image.convert("LA"), "PNG", icc_profile=profile),
        "16": encode(wide, "PNG", icc_profile=profile),
    }
    for channels in (3, 1):
        for name, values in prepare(files, channels).items():
            expected = np.stack([to_srgb(levels / 255)] * channels, -1)
            np.testing.assert_allclose(values, expected, atol=2, err_msg=name)


def test_cmyk_is_read_by_its_profile_and_without_one_as_pillow_does():
    # Lab of the corners of CMYK: paper, all of one hue with cyan, black with K.
    paper, cyan, black = (255, 128, 128), (200, 100, 128), (0, 128, 128)
    hues = [[cyan if c else paper, black] * 4 for c in (0, 1)]
    profile = cmyk_profile(np.array(hues).reshape(16, 3))
    inks = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    results = prepare({
        "plain": encode(inks, "TIFF"),
        "broken": encode(inks, "TIFF", icc_profile=b"nothing of the kind"),
        "profile": encode(inks, "TIFF", icc_profile=profile),
        "jpeg": jpeg(inks, icc_profile=profile),
    })  # fmt: skip
    lab = Image.new("LAB", (1, 1), cyan).convert("RGB").getpixel((0, 0))
    assert lab != (0, 255, 255)
    for name, values in results.items():
        expected = (0, 255, 255) if name in ("plain", "broken") else lab
        np.testing.assert_allclose(values, np.tile(expected, (8, 8, 1)), atol=3, err_msg=name)
