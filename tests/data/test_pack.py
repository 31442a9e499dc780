"""Prepared images: Pillow's pixels, odd files in place or by name, made once, kept whole."""

import builtins
import errno
import hashlib
import io
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import (
    FACES,
    REPO,
    face_jpeg,
    faces_zip,
    kaggle_faces,
    needs_faces,
    refused,
    write_files,
)
from PIL import Image, ImageFile, ImageOps

from dcgan_tf.common.cli import run_command
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.errors import Interrupted, UserError
from dcgan_tf.common.files import digest
from dcgan_tf.common.images import encode
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data import pack, preprocess
from dcgan_tf.data.forms import FORMATS, picture_formats, picture_suffixes
from dcgan_tf.data.pack import chosen_order, find_pack, open_images, open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.data.synthetic import draw_face

CELEBA_BOX = (30, 55, 150, 175)


class Packer:
    """Opens packs below one folder, and keeps what was said and which images were read."""

    def __init__(self, folder, caplog):
        self.folder, self.packs, self.read = folder, folder / "packs", []
        self._caplog, self.before_reading = caplog, lambda: None

    def __call__(self, data=None, **fields):
        """Pack `data`: a path, or {name: bytes} that become a folder, by default as they are."""
        if isinstance(data, dict):
            shutil.rmtree(self.folder / "own", ignore_errors=True)
            write_files(self.folder / "own", data)
        data = data if isinstance(data, Path) else self.folder / "own"
        config = Config(**{"dataset": "folder", "packs": str(self.packs)} | fields, data=str(data))
        source = open_source(config)
        self._caplog.clear()
        self.read, read_all = [], source.read

        def read(indices):
            self.before_reading()
            self.read += [source.names[index] for index in indices]
            return read_all(indices)

        source.read = read
        return open_pack(config, source)

    @property
    def said(self):
        """What the last call warned of."""
        return [r.getMessage() for r in self._caplog.records if r.levelno == logging.WARNING]

    def left(self):
        """What the folder of packs holds, apart from locks."""
        return sorted(p.name for p in self.packs.glob("*") if not p.name.endswith(".lock"))


@pytest.fixture
def packed(tmp_path, caplog):
    return Packer(tmp_path, caplog)


def face(seed=0, size=(64, 64)):
    """A drawn face of 64x64, which a pack of that size keeps pixel for pixel."""
    return draw_face(seed).crop(CELEBA_BOX).resize(size)


def png(image, **options):
    return encode(image, "PNG", **options)


def noise(seed=0, low=0, high=256, size=(64, 64)):
    values = np.random.default_rng(seed).integers(low, high, (size[1], size[0], 3), np.uint8)
    return png(Image.fromarray(values))


def mean_difference(a, b):
    return np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()


def by_pillow(encoded, box, mode="RGB"):
    image = Image.open(io.BytesIO(encoded)).convert("RGB").convert(mode).crop(box)
    return np.asarray(image.resize((64, 64), Image.Resampling.BICUBIC))


# Pixels


@pytest.mark.slow
@needs_faces
def test_real_faces_agree_with_pillow(packed):
    result = packed(FACES, dataset="celeba", subset=100)
    assert result.pixels.shape == (100, 64, 64, 3)
    with zipfile.ZipFile(FACES) as archive:
        for name, pixels in zip(result.names, result.pixels, strict=True):
            assert mean_difference(by_pillow(archive.read(name), CELEBA_BOX), pixels) <= 0.3


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L")])
def test_drawn_faces_agree_with_pillow_also_gray_and_cmyk_ones(channels, mode, packed):
    kinds = ("RGB", "L", "CMYK")
    files = {f"{k}.jpg": encode(draw_face(i).convert(k), "JPEG") for i, k in enumerate(kinds)}
    result = packed(files, crop="30,55,150,175", channels=channels)
    assert result.pixels.shape == (3, 64, 64, channels)
    for name, pixels in zip(result.names, result.pixels, strict=True):
        pillow = by_pillow(files[name], CELEBA_BOX, mode).reshape(pixels.shape)
        assert mean_difference(pillow, pixels) <= (0.6 if mode == "L" else 0.3), name


def test_the_crop_box_is_left_upper_right_lower_and_what_it_does_not_fit_is_skipped(packed):
    canvas = np.zeros((100, 120, 3), np.uint8)
    canvas[20:84, 10:74] = np.asarray(face())
    files = {"a.png": png(Image.fromarray(canvas)), "small.png": png(face())}
    result = packed(files, crop="10,20,74,84", max_bad=0.5)
    np.testing.assert_array_equal(result.pixels[0], face())
    assert "64x64, smaller than the crop box" in result.manifest["skipped"]["small.png"]


# Odd files

ONE_BIT = np.indices((64, 64)).sum(0) % 2 == 0
TWO_COLORS = np.where(ONE_BIT[..., None], np.uint8([0, 0, 200]), np.uint8([90, 60, 30]))
CONVERTED = {
    "a_png.jpg": lambda: (png(face()), face()),
    "webp.webp": lambda: (encode(face(), "WEBP", lossless=True), face()),
    "bmp.bmp": lambda: (encode(face(), "BMP"), face()),
    "tiff.tif": lambda: (encode(face(), "TIFF"), face()),
    "color_key.png": lambda: (
        png(Image.fromarray(TWO_COLORS), transparency=(0, 0, 200)),
        np.where(TWO_COLORS == (0, 0, 200), 255, TWO_COLORS),
    ),
    "animated.gif": lambda: (
        encode(face().convert("1"), "GIF", save_all=True, append_images=[face(1)] * 2),
        face().convert("1").convert("RGB"),
    ),
}


def test_odd_images_are_converted(packed):
    made = {name: make() for name, make in CONVERTED.items()}
    result = packed({name: encoded for name, (encoded, _) in made.items()})
    assert result.manifest["skipped"] == {} and sorted(result.names) == sorted(made)
    for name, pixels in zip(result.names, result.pixels, strict=True):
        np.testing.assert_allclose(pixels, made[name][1], atol=1, err_msg=name)
    assert packed({"a.avif": encode(face(), "AVIF")}).names == ["a.avif"]


def test_images_of_a_camera_are_turned_upright(packed):
    files = {}
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"{orientation}.png"] = png(face(), exif=exif)
        files[f"{orientation}.jpg"] = encode(face(), "JPEG", quality=100, exif=exif)
        files[f"{orientation}.tif"] = encode(face(), "TIFF", exif=exif)
    result, seen = packed(files), set()
    for name, pixels in zip(result.names, result.pixels, strict=True):
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(files[name])))
        assert mean_difference(upright, pixels) <= (3 if name.endswith("jpg") else 0), name
        seen.add(pixels.tobytes())
    assert len(seen) == 16  # those of PNG and TIFF are equal


def test_a_size_is_that_of_the_image_turned_upright(packed):
    exif = Image.Exif()
    exif[0x0112] = 6
    lying, standing = face().resize((90, 60)), face().resize((60, 90))
    for name, kind in (("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF")):
        files = {f"lying.{name}": encode(lying, kind, exif=exif)}
        files[f"standing.{name}"] = encode(standing, kind, exif=exif)
        kept = packed(files, crop="0,0,60,80", max_bad=1.0)
        assert kept.names == [f"lying.{name}"]
        assert "90x60, smaller than the crop box" in kept.manifest["skipped"][f"standing.{name}"]


def test_damaged_exif_costs_no_image(packed):
    garbage = {"exif": b"Exif\0\0garbage!"}
    files = {"garbage.png": png(face(), **garbage), "turned.jpg": jpeg_with_damaged_exif()}
    files["garbage.jpg"] = encode(face(), "JPEG", quality=100, dpi=(72, 72), **garbage)
    expected = {"turned.jpg": face().transpose(Image.Transpose.ROTATE_270)}
    result = packed(files)
    assert sorted(result.names) == sorted(files)
    for name, pixels in zip(result.names, result.pixels, strict=True):
        assert mean_difference(expected.get(name, face()), pixels) <= 3, name


def test_large_transparent_and_sixteen_bit_images_are_converted_strip_by_strip(packed):
    """More rows than a strip has, so that a strip in the wrong place would be seen."""
    rng = np.random.default_rng(0)
    sixteen = rng.integers(0, 65536, (700, 700), np.uint16)
    rgba = rng.integers(0, 256, (700, 700, 4), np.uint8)
    opaque = np.rint(255 + (rgba[..., :3] - 255.0) * (rgba[..., 3:] / 255)).astype(np.uint8)
    arrays = [sixteen, (sixteen >> 8).astype(np.uint8), rgba, opaque]
    files = {f"{i}.png": png(Image.fromarray(array)) for i, array in enumerate(arrays)}
    a, b, c, d = packed(files).pixels.astype(int)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(c, d, atol=1)


def jpeg_with_damaged_exif():
    """A turned image whose EXIF Pillow can read but not write: ImageOps.exif_transpose fails."""
    turned = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    resolution = struct.pack("<HHI4s", 0x011A, 2, 2, b"ab\0\0")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + turned + resolution + bytes(4)
    return encode(face(), "JPEG", quality=100, exif=exif)


def test_bad_images_are_skipped_by_name_and_reason_in_one_warning(packed, monkeypatch, capfd):
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("a program was started"))
    whole = png(face())
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"
    bad = {
        "truncated.jpg": (face_jpeg(0)[:3000], "image file is truncated"),
        "wrong_bytes.png": (whole[:2000] + b"\0" * 500 + whole[2500:], ""),
        "empty.jpg": (b"", "empty"),
        "a\nerror: b.jpg": (b"<html>not here</html>", "not an image"),
        "postscript.jpg": (postscript, "not an image"),
        "ico.png": (encode(Image.new("RGB", (16, 16)), "ICO"), "not an image"),
        "2000.jpg": (encode(face(), "JPEG2000"), "a JPEG 2000 file, which is not"),
        "phone.jpg": (b"\0\0\0\x18ftypheic" + bytes(99), "a HEIC file; to read it"),
        "damaged.avif": (b"\0\0\0\x18ftypavif" + bytes(99), "not an image"),
    }
    good = {f"good{i}.png": png(face(i)) for i in range(4)}
    result = packed(good | {name: content for name, (content, _) in bad.items()}, max_bad=0.8)
    assert result.names == list(good) and "Premature end" not in capfd.readouterr().err
    np.testing.assert_array_equal(result.pixels, [face(i) for i in range(4)])
    skipped = result.manifest["skipped"]
    assert set(skipped) == set(bad)
    for name, (_, reason) in bad.items():
        assert reason in skipped[name] and skipped[name], name
    (warning,) = packed.said
    assert "skipped 9 of 13" in warning and "\n" not in warning
    assert f"empty.jpg: {skipped['empty.jpg']}" in warning and "manifest.json" in warning


def test_the_suffixes_of_images_never_change_for_they_are_in_the_keys_of_packs():
    of = {
        **{"JPEG": ".jpg .jpeg .jpe .jfif", "PNG": ".png .apng", "BMP": ".bmp", "GIF": ".gif"},
        **{"WEBP": ".webp", "TIFF": ".tif .tiff", "PPM": ".ppm .pgm .pbm .pnm"},
        **{"AVIF": ".avif", "HEIF": ".heic .heif"},
    }
    suffixes = [suffix for name in picture_formats() for suffix in of[name].split()]
    assert [*FORMATS] == [*of] and [*picture_suffixes()] == suffixes


HEIF = """
from PIL import Image
def register_heif_opener():
    Image.register_open("HEIF", None, lambda head: head[4:12] == b"ftypheic")
    Image.register_extensions("HEIF", [".heic", ".heics", ".heif", ".heifs", ".hif"])
"""


def test_with_pillow_heif_its_suffixes_are_read_and_none_is_told_to_install_it(tmp_path):
    (tmp_path / "pillow_heif.py").write_text(HEIF)
    code = (
        "from dcgan_tf.data.forms import picture_suffixes, unread_kind\n"
        "print(*picture_suffixes()[-2:], unread_kind('a.heic', b'1234ftypheic'))"
    )
    env = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPO}"}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, env=env, capture_output=True, encoding="utf-8")
    assert done.stdout == ".heic .heif \n", done.stderr


@pytest.mark.skipif(".heic" in picture_suffixes(), reason="pillow-heif is installed")
def test_kinds_that_are_not_read_are_named_with_what_they_need_later_ones_too(packed):
    others = {f"{i}.HEIC": b"x" for i in range(7)} | {"list.csv": b"x"}
    packed({"a.png": png(face())} | others)
    (warning,) = packed.said
    assert "left out 7" in warning and "pip install pillow-heif" in warning
    assert "list.csv" not in warning
    write_files(packed.folder / "own", {"b.psd": b"x"})
    result = packed()
    kept = json.loads((result.path / "manifest.json").read_text())["left_out"]
    assert set(kept) == {*others, "b.psd"} and "convert" in kept["b.psd"] and packed.read == []


@pytest.mark.slow
def test_among_many_each_image_keeps_its_place(packed, monkeypatch):
    """Good ones, ones prepared alone, ones known to be bad, and ones found damaged by decoding."""
    monkeypatch.setattr(preprocess, "LARGE_PIXELS", 65 * 64)
    kinds = [*"gglgdgbggl", *"b" * 40, *"l" * 40, *"gd"]
    sizes = {"g": (64, 64), "l": (66, 66)}
    files, expected = {}, {}
    for i, kind in enumerate(kinds):
        name = f"{i:03}.png"
        if kind in sizes:
            image = face(i).resize(sizes[kind])
            files[name], expected[name] = png(image), image
        else:
            # Small, so not prepared alone; with an end, though not its own, so left to TensorFlow.
            jpeg = encode(face(i), "JPEG", quality=92, comment=b"\xff\xd9")
            files[name] = jpeg[: len(jpeg) // 2] if kind == "d" else b""
    result = packed(files, max_bad=0.9)
    assert result.names == list(expected)
    reasons = {f"{i:03}.png": {"d": "damaged", "b": "empty"}.get(k) for i, k in enumerate(kinds)}
    assert result.manifest["skipped"] == {name: why for name, why in reasons.items() if why}
    for image, pixels in zip(expected.values(), result.pixels, strict=True):
        assert mean_difference(pixels, image.resize((64, 64))) < (image.size != (64, 64)) * 4 + 1e-9


def test_large_images_are_skipped_by_their_header_unless_allowed(packed, monkeypatch):
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(
        ImageFile.ImageFile,
        "load",
        lambda image: load(image) if max(image.size) < 500 else pytest.fail("decoded"),
    )
    files = {"large.png": noise(size=(300, 400)), "ok.png": noise(size=(300, 300))}
    for side in (8_001, 13_000, 2**31 - 1):  # claimed, without pixels
        header = b"IHDR" + struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        files[f"{side}.png"] = b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x09IDAT" + bytes(13)
    result = packed(files, max_pixels=0.1, max_bad=0.9)
    skipped = result.manifest["skipped"]
    assert skipped["large.png"] == "300x400, larger than --max-pixels 0.1 megapixels"
    assert all("larger than --max-pixels" in why for why in skipped.values()) and len(skipped) == 4
    more = packed(max_pixels=0.12, max_bad=0.9)
    assert more.path != result.path and more.names == ["large.png", "ok.png"]


def some_bad(good, bad):
    files = {f"{i}.png": png(face(i)) for i in range(good)}
    return files | {f"bad{i}.png": b"no" for i in range(bad)}


def test_more_bad_files_than_allowed_stop_the_run_also_with_a_pack_that_is_there(packed, caplog):
    caplog.set_level("INFO", "dcgan_tf")
    assert len(packed(some_bad(9, 1)).pixels) == 9  # a tenth is the default
    assert caplog.messages[-1].startswith("images: 9 usable of 10, ")
    words = ("2 of 10", "bad0.png", "more than 10%", "train skip more with --max-bad")
    with refused(*words):
        packed(some_bad(8, 2))
    assert len(packed(some_bad(8, 2), max_bad=0.2).pixels) == 8
    packed(max_bad=0.2)
    assert packed.read == [] and "skipped 2 of 10" in packed.said[0]
    with refused(*words):
        packed()
    with refused("1 of 8 images cannot be used", "more than 0.5%"):
        packed(some_bad(7, 1), max_bad=0.005)
    with refused("none of 2 images"):
        packed(some_bad(0, 2), max_bad=1.0)
    assert len(packed.left()) == 2  # nothing of the refused ones


def test_images_of_ones_own_taken_for_celeba_are_told_the_flag(packed):
    files = {f"{i}.png": noise(i) for i in range(3)}
    for more in ({}, {f"face{i}.jpg": face_jpeg(i) for i in range(4)}):
        with refused("64x64, expected CelebA's 178x218", "train --dataset folder"):
            packed(files | more, dataset="celeba")
    assert packed.left() == []


# Warnings before a training


def logo(seed):
    """A wide white image with a mark at its left, where the square in the middle does not reach."""
    image = Image.new("RGB", (420, 120), "white")
    image.paste((200, 30, seed * 9), (10, 10 + seed, 90, 100))
    return png(image)


def twelve_bits(seed):
    values = np.random.default_rng(seed).integers(0, 4096, (64, 64), np.uint16)
    return png(Image.fromarray(values))


WHITE = png(Image.new("RGB", (64, 64), "white"))
WARNED = {
    "12 bits in 16": (twelve_bits, ["16 of 16 images are blank", "multiply 12-bit values"]),
    "logos": (logo, ["16 of 16 images are blank, fewer than 16 of 256 levels", "(center)"]),
    "some blank, some equal": (
        lambda i: noise(i % 5) if i > 3 else WHITE,
        ["4 of 16 images are blank", "; 7 of 16 images repeat another one pixel for pixel"],
    ),
    "two equal ones": (lambda i: noise(max(i, 2)), ["2 of 16 images repeat another one"]),
    "dark": (lambda i: noise(i, 0, 30), []),
    "one blank, one repeated": (lambda i: noise(max(i, 2)) if i > 0 else WHITE, []),
    "faces": (face_jpeg, []),
}


@pytest.mark.parametrize("kind", WARNED)
def test_a_pack_that_shows_little_is_told_in_one_line_each_time(kind, packed):
    make, words = WARNED[kind]
    packed({f"{i:02}.png": make(i) for i in range(16)})
    for _ in range(2):  # the second time reused
        assert len(packed.said) == bool(words)
        assert all(word in packed.said[0] and "\n" not in packed.said[0] for word in words)
        packed()


# Choice


def test_the_choice_is_numpys_frozen_permutation():
    assert chosen_order(10, 4, 0).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    assert chosen_order(10, 4, 1).tolist() == [2, 9, 6, 4, 0, 3, 1, 7, 8, 5]
    assert chosen_order(4, 0, 7).tolist() == [0, 1, 2, 3]


def test_a_broken_one_is_replaced_by_the_next_of_the_seeded_order(packed):
    """The order is 2 8 4 9 1 6 ...; 8 and its first replacement 1 are broken, so 6 comes."""
    files = {f"{i}.png": b"broken" if i in (8, 1) else png(face(i)) for i in range(10)}
    result = packed(files, subset=4, max_bad=0.5)
    assert result.names == [f"{i}.png" for i in (2, 4, 9, 6)]
    assert set(result.manifest["skipped"]) == {"8.png", "1.png"}
    assert set(packed.read) == {f"{i}.png" for i in (2, 8, 4, 9, 1, 6)}  # only what it needs
    np.testing.assert_array_equal(result.pixels[3], face(6))
    assert len(packed(subset=9, max_bad=0.5).pixels) == 8
    assert "only 8 images of a subset of 9 are usable" in packed.said


# On disk


def test_a_pack_is_an_npy_that_is_made_once_for_all_that_need_it_and_read_through_once(
    packed, tmp_path, monkeypatch
):
    archive = faces_zip(tmp_path, 3)
    first = packed(archive, dataset="celeba")
    assert len(packed.read) == 3
    manifest, pixels = first.manifest, np.load(first.path / "pixels.npy", mmap_mode="r")
    assert manifest["shape"] == [3, 64, 64, 3] and manifest["crop"] == "30,55,150,175"
    assert "antialias" in manifest["filter"] and manifest["names"] == sorted(kaggle_faces(3))
    np.testing.assert_array_equal(pixels, first.pixels)
    assert manifest["pixels_sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert isinstance(first.pixels, np.memmap) and not first.pixels.flags.writeable
    packed(archive, dataset="celeba")
    monkeypatch.setattr(pack, "_sha256", lambda pixels: pytest.fail("read again"))
    again = packed(archive, dataset="celeba", seed=5, batch_size=2, width=0.5, subset_seed=9)
    assert again.path == first.path and packed.read == []
    monkeypatch.undo()
    for fields in (
        {"crop": "0,0,64,64"},
        {"channels": 1},
        {"image_size": 32, "base_size": 4},
        {"subset": 2},
        {"subset": 2, "subset_seed": 1},
    ):
        packed(archive, dataset="celeba", **fields)
        assert packed.read
    assert len(packed.left()) == 6  # other pixels are another pack


def test_the_key_of_a_pack_is_as_it_was(here):
    """Held by value: a change would make everybody's packs anew."""
    source = open_source(Config(dataset="demo"))
    assert digest(pack.pack_key(Config(dataset="demo"), source))[:16] == "e0b6a3f530487972"


def flip(path, position=-1):
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1
    path.write_bytes(raw)


PIXELS, MANIFEST = "pixels.npy", "manifest.json"
SHAPES = {"negative": [-2, 64, 64, 3], "of text": ["2", 64, 64, 3], "huge": [10**30]}
HARMS = {
    "pixels truncated": lambda path: (path / PIXELS).write_bytes(b"half"),
    "pixels gone": lambda path: (path / PIXELS).unlink(),
    "a flipped bit": lambda path: flip(path / PIXELS),
    "a flipped bit of the header": lambda path: flip(path / PIXELS, 60),
    "manifest gone": lambda path: (path / MANIFEST).unlink(),
    "manifest torn": lambda path: (path / MANIFEST).write_text('{"shape": [3, 6'),
    "manifest nested deep": lambda path: (path / MANIFEST).write_text("[" * 50_000),
    **SHAPES,
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_pack_is_told_and_made_again(harm, packed, tmp_path):
    archive = faces_zip(tmp_path, 2)
    first = packed(archive, dataset="celeba")
    kept = np.array(first.pixels)
    if harm in SHAPES:
        manifest = json.dumps(first.manifest | {"shape": SHAPES[harm]})
        (first.path / MANIFEST).write_text(manifest)
    else:
        HARMS[harm](first.path)
    again = packed(archive, dataset="celeba")
    assert again.path == first.path and len(packed.read) == 2
    assert "this pack is damaged and is made again" in packed.said[0]
    np.testing.assert_array_equal(again.pixels, kept)
    assert again.manifest == json.loads((first.path / MANIFEST).read_text())


def test_packs_of_earlier_versions_are_read(packed, tmp_path):
    archive = faces_zip(tmp_path, 2)
    first = packed(archive, dataset="celeba")
    pixels = np.array(first.pixels)
    (first.path / "pixels.u8").write_bytes((first.path / PIXELS).read_bytes()[128:])
    (first.path / PIXELS).unlink()
    del (manifest := dict(first.manifest))["left_out"], manifest["warning"]
    (first.path / MANIFEST).write_text(json.dumps(manifest))
    again = packed(archive, dataset="celeba")
    assert again.path == first.path and packed.read == packed.said == []
    np.testing.assert_array_equal(again.pixels, pixels)
    flip(first.path / "pixels.u8")
    packed(archive, dataset="celeba")
    assert (first.path / PIXELS).exists() and not (first.path / "pixels.u8").exists()


@pytest.mark.parametrize("error", [Interrupted(15), UserError("gone"), OSError("disk gone")])
def test_an_interrupted_making_leaves_nothing_that_could_be_taken(error, packed, monkeypatch):
    def fail(*args):
        raise error

    packed.before_reading = fail
    with pytest.raises(type(error)) as caught:
        packed({f"{i:02}.png": png(face(i)) for i in range(20)})
    assert caught.value is error and packed.left() == []
    packed.before_reading = lambda: None
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(pack, "write_text", fail)  # when all pixels are written
        packed()
    assert packed.left() == []
    first = packed()
    assert len(first.pixels) == 20
    left = first.path.with_name(f".making-{first.path.name}")  # whole, killed before it is named
    first.path.rename(left)
    assert find_pack(left.parent, first.manifest["pixels_sha256"]) is None
    again = packed()
    assert len(packed.read) == 20
    assert sorted(path.name for path in again.path.iterdir()) == [MANIFEST, PIXELS]


@pytest.mark.slow
def test_two_programs_at_once_make_one_pack(packed):
    """The other one asks while we are decoding: it must wait, then take ours unread."""
    write_files(packed.folder / "own", {f"{i}.png": png(face(i)) for i in range(4)})
    config = Config(dataset="folder", data=str(packed.folder / "own"), packs=str(packed.packs))
    other = open_source(config)
    other.read = lambda indices: pytest.fail("read as well")
    with ThreadPoolExecutor() as pool:
        asked = []

        def let_it_ask():
            asked.append(pool.submit(open_pack, config, other))
            assert not wait(asked, timeout=1).done  # time to do the wrong thing: to read

        packed.before_reading = let_it_ask
        assert packed().path == asked[0].result().path
    assert len(packed.left()) == 1


# What fails beside the images


def test_a_full_disk_is_one_line_and_leaves_nothing(packed, monkeypatch):
    def fail(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", fail)
    with refused(f"--packs {packed.packs}: No space left"):
        packed({f"{i}.png": noise(i, size=(8, 8)) for i in range(9)})
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    with refused(f"--packs {packed.packs}", "are free"):
        packed()
    assert packed.left() == [] and packed.read == []


FILES = {f"{i:02}.png": noise(i) for i in range(20)}


def fail_for(monkeypatch, module, name, code):
    """Let the operating system refuse to open files of this name."""
    real = module.open

    def refuse(path, *args, **named):
        if name in str(path):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, *args, **named)

    monkeypatch.setattr(module, "open", refuse)


@pytest.mark.parametrize("where", [errno.EIO, errno.EMFILE, "a zip", "open_image", "to_plain"])
def test_too_little_memory_or_a_disk_that_fails_stops_the_packing(where, packed, monkeypatch):
    def fail(*args):
        raise error

    own = write_files(packed.folder / "own", FILES)
    with monkeypatch.context() as patch:
        if where == "a zip":
            error, own = OSError(errno.EIO, os.strerror(errno.EIO)), faces_zip(packed.folder, 3)
            patch.setattr("zipfile.ZipFile.open", fail)
            words = [os.strerror(errno.EIO)]
        elif isinstance(where, int):
            fail_for(patch, os, "13.png", where)
            words = [f"--data {own}: {own}/13.png", os.strerror(where)]
        else:
            error, words = MemoryError(), ["too little memory to prepare the images"]
            patch.setattr(preprocess, where, fail)
        with refused("--data ", *words):
            packed(own, max_bad=0.9)
    assert packed.left() == []
    assert len(packed(own).pixels) == len(packed.read) > 0  # nothing is remembered of it


def test_what_lies_in_the_file_itself_is_skipped_by_name(packed, tmp_path, monkeypatch):
    """Not ours to read, gone: the state of that file, which a second try would not change."""
    name = os.fsdecode(b"\xff\x1b[31m.png")
    own = write_files(tmp_path / "own", FILES | {name: noise(99)})
    (own / "zz.png").symlink_to("gone")
    fail_for(monkeypatch, os, "13.png", errno.EACCES)
    made = packed(own)
    assert made.manifest["skipped"] == {
        "13.png": "cannot be read (Permission denied)",
        "zz.png": "cannot be read (no such file)",
    }
    assert name in made.names and "skipped 2 of 22" in packed.said[0]
    assert name in packed(own).names and packed.read == []  # the second time from the disk


@pytest.mark.parametrize("name", [MANIFEST, PIXELS])
def test_a_pack_that_cannot_be_read_at_the_moment_is_kept(name, packed, monkeypatch, capsys):
    """One line, and the pack is neither called damaged nor made again."""
    made = packed(FILES)
    with monkeypatch.context() as patch:
        fail_for(patch, io, name, errno.EIO)
        patch.setattr(builtins, "open", io.open)
        assert run_command(lambda argv: packed(), []) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    assert name in error and os.strerror(errno.EIO) in error
    again = packed()
    assert packed.said == packed.read == [] and again.path == made.path
    shutil.copytree(made.path, packed.packs / "a-closed")  # a pack of another user
    fail_for(monkeypatch, io, f"a-closed/{PIXELS}", errno.EACCES)
    monkeypatch.setattr(builtins, "open", io.open)
    assert find_pack(packed.packs, made.manifest["pixels_sha256"]).path == made.path


# Without the archive


def opened(run, sha256, **named):
    config = find_again(run, replace(read_config(run.config), **named), named)
    return open_pack(config, open_images(config, sha256, pack_first=not named))


@pytest.mark.parametrize("place", [".", "/", "runs/faces"])
def test_images_are_found_again_from_anywhere_without_the_archive(place, here):
    (here / "data").mkdir()
    config = Config(data=f"data/{faces_zip(here / 'data', 3).name}")
    made = open_pack(config, open_source(config))
    sha256, path = made.manifest["pixels_sha256"], made.path.resolve()
    versions = json.dumps({"directory": str(here)}).encode()
    files = {"config.toml": to_toml(config).encode(), "versions.json": versions}
    run = Run(write_files(here / "runs/faces", files))
    other = write_files(run.root / "other", {"a.jpg": face_jpeg(8)})
    os.chdir(place)
    for gone in (False, True):
        again = opened(run, sha256)
        assert again.path.samefile(path if place == "." else again.path)
        np.testing.assert_array_equal(again.pixels, made.pixels)
        assert len(opened(run, sha256, data=str(other)).pixels) == 1  # those that are named
        if not gone:
            os.unlink(here / "data/faces.zip")
    flip(again.path / PIXELS)
    with pytest.raises(UserError, match="faces.zip: no such file"):
        opened(run, sha256)
