"""The prepared pictures: Pillow's pixels, every odd file in its place or by name, made once."""

import hashlib
import io
import json
import select
import shutil
import struct
import subprocess
import sys
import zipfile
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
    write_files,
)
from PIL import Image

from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import Interrupted, UserError
from dcgan_tf.common.images import encode
from dcgan_tf.data import pack_making
from dcgan_tf.data.pack import find_pack, open_pack
from dcgan_tf.data.pack_making import chosen_order
from dcgan_tf.data.sources import open_source
from dcgan_tf.data.synthetic import draw_face


class Packer:
    """Opens packs below one folder, and keeps what was said and which pictures were read."""

    def __init__(self, folder, caplog):
        self.folder, self.packs = folder, folder / "packs"
        self._caplog, self.read = caplog, []
        self.before_reading = lambda: None

    def __call__(self, data, **fields):
        """Pack `data`: a path, or {name: bytes} that become a folder."""
        if isinstance(data, dict):
            shutil.rmtree(self.folder / "own", ignore_errors=True)
            data = write_files(self.folder / "own", data)
        fields = {"dataset": "folder", **fields}
        config = Config(data=str(data), packs=str(self.packs), **fields)
        source = open_source(config)
        self._caplog.clear()
        self.read = []
        return open_pack(config, self._watched(source))

    @property
    def said(self):
        """What the last call warned of."""
        return [r.getMessage() for r in self._caplog.records if r.levelname == "WARNING"]

    def _watched(self, source):
        def read(indices):
            self.before_reading()
            self.read += [source.names[index] for index in indices]
            return source.read(indices)

        return SimpleNamespace(
            names=source.names,
            where=source.where,
            fingerprint=source.fingerprint,
            left_out=source.left_out,
            read=read,
        )

    def left(self):
        """What the folder of packs holds, apart from locks."""
        return sorted(p.name for p in self.packs.glob("*") if not p.name.endswith(".lock"))


@pytest.fixture
def packed(tmp_path, caplog):
    return Packer(tmp_path, caplog)


def picture(seed=0, size=(64, 64)):
    """A drawn face of 64x64, which a pack of that size keeps pixel for pixel."""
    return draw_face(seed).crop((30, 55, 150, 175)).resize(size)


def png(image, **options):
    return encode(image, "PNG", **options)


def mean_difference(a, b):
    return np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()


def by_pillow(encoded, box, mode="RGB"):
    image = Image.open(io.BytesIO(encoded)).convert(mode).crop(box)
    return np.asarray(image.resize((64, 64), Image.Resampling.BICUBIC))


# Pixels


@pytest.mark.slow
@needs_faces
def test_real_faces_agree_with_pillow(packed):
    result = packed(FACES, dataset="celeba", subset=100)
    assert result.pixels.shape == (100, 64, 64, 3)
    with zipfile.ZipFile(FACES) as archive:
        for name, pixels in zip(result.manifest["names"], result.pixels, strict=True):
            assert mean_difference(by_pillow(archive.read(name), (30, 55, 150, 175)), pixels) <= 0.3


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L")])
def test_drawn_faces_agree_with_pillow_in_colour_and_grey(channels, mode, packed, tmp_path):
    result = packed(faces_zip(tmp_path, 6), dataset="celeba", channels=channels)
    assert result.pixels.shape == (6, 64, 64, channels)
    for index, pixels in enumerate(result.pixels):
        pillow = by_pillow(face_jpeg(index), (30, 55, 150, 175), mode).reshape(pixels.shape)
        assert mean_difference(pillow, pixels) <= 0.3


@pytest.mark.parametrize("size", [(178, 218), (301, 150), (30, 41), (64, 65)])
def test_own_pictures_are_cropped_in_the_centre(size, packed):
    image = draw_face(3).resize(size)
    side, (left, top) = min(size), ((size[0] - min(size)) // 2, (size[1] - min(size)) // 2)
    box = (left, top, left + side, top + side)
    result = packed({"a.png": png(image)})
    assert mean_difference(by_pillow(png(image), box), result.pixels[0]) <= 0.3


def test_the_crop_box_is_left_upper_right_lower(packed):
    canvas = np.zeros((100, 120, 3), np.uint8)
    canvas[20:84, 10:74] = np.asarray(picture())
    result = packed({"a.png": png(Image.fromarray(canvas))}, crop="10,20,74,84")
    np.testing.assert_array_equal(result.pixels[0], picture())


# Odd files


ONE_BIT = np.indices((64, 64)).sum(0) % 2 == 0
TWO_COLOURS = np.where(ONE_BIT[..., None], np.uint8([0, 0, 200]), np.uint8([90, 60, 30]))
CONVERTED = {
    "rgb.png": lambda: (png(picture()), picture()),
    "a_png.jpg": lambda: (png(picture()), picture()),
    "upper.JPG": lambda: (png(picture()), picture()),
    "grey.png": lambda: (png(picture().convert("L")), picture().convert("L").convert("RGB")),
    "webp.webp": lambda: (encode(picture(), "WEBP", lossless=True), picture()),
    "bmp.bmp": lambda: (encode(picture(), "BMP"), picture()),
    "tiff.tif": lambda: (encode(picture(), "TIFF"), picture()),
    "colour_key.png": lambda: (
        png(Image.fromarray(TWO_COLOURS), transparency=(0, 0, 200)),
        np.where(TWO_COLOURS == (0, 0, 200), 255, TWO_COLOURS),
    ),
    "animated.gif": lambda: (
        encode(picture().convert("1"), "GIF", save_all=True, append_images=[picture(1)] * 2),
        picture().convert("1").convert("RGB"),
    ),
    "one_pixel.png": lambda: (
        png(Image.new("RGB", (1, 1), (9, 80, 200))),
        np.full((64, 64, 3), (9, 80, 200)),
    ),
}


def test_odd_pictures_are_converted(packed):
    made = {name: make() for name, make in CONVERTED.items()}
    result = packed({name: encoded for name, (encoded, _) in made.items()})
    assert result.manifest["skipped"] == {}
    assert sorted(result.manifest["names"]) == sorted(made)
    for name, pixels in zip(result.manifest["names"], result.pixels, strict=True):
        np.testing.assert_allclose(pixels, made[name][1], atol=1, err_msg=name)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_look_as_in_pillow(mode, packed):
    encoded = encode(draw_face(0).convert(mode), "JPEG", quality=95)
    result = packed({"a.jpg": encoded}, crop="30,55,150,175")
    assert mean_difference(by_pillow(encoded, (30, 55, 150, 175)), result.pixels[0]) <= 0.3


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1),
    8: np.rot90,
}


def test_pictures_of_a_camera_are_turned_upright(packed):
    stored = np.asarray(picture())
    files = {}
    for orientation in UPRIGHT:
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"{orientation}.png"] = png(picture(), exif=exif)
        files[f"{orientation}.jpg"] = encode(picture(), "JPEG", quality=100, exif=exif)
    result = packed(files)
    for name, pixels in zip(result.manifest["names"], result.pixels, strict=True):
        upright = UPRIGHT[int(name[0])](stored)
        assert mean_difference(upright, pixels) <= (0 if name.endswith("png") else 3), name


def jpeg_with_damaged_exif():
    """A turned picture whose EXIF breaks Pillow with a TypeError."""
    turned = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    resolution = struct.pack("<HHI4s", 0x011A, 2, 2, b"ab\0\0")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + turned + resolution + bytes(4)
    return encode(picture(), "JPEG", exif=exif)


def test_bad_pictures_are_skipped_by_name_and_reason_in_one_warning(packed):
    whole = png(picture())
    bad = {
        "truncated.jpg": (face_jpeg(0)[:3000], "damaged"),
        "truncated.png": (whole[:3000], ""),
        "wrong_bytes.png": (whole[:2000] + b"\0" * 500 + whole[2500:], ""),
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"<html>not here</html>", "not an image"),
        "2000.jpg": (encode(picture(), "JPEG2000"), "a JPEG 2000 file, which is not"),
        "phone.jpg": (b"\0\0\0\x18ftypheic" + bytes(99), "a HEIC file, which is not read"),
        "exif.jpg": (jpeg_with_damaged_exif(), ""),
    }
    good = {f"good{i}.png": png(picture(i)) for i in range(4)}
    result = packed(good | {name: content for name, (content, _) in bad.items()}, max_bad=0.7)
    assert result.manifest["names"] == list(good)
    for i, pixels in enumerate(result.pixels):
        np.testing.assert_array_equal(pixels, picture(i))
    skipped = result.manifest["skipped"]
    assert set(skipped) == set(bad)
    for name, (_, reason) in bad.items():
        assert reason in skipped[name] and skipped[name], name
    (warning,) = packed.said
    assert "skipped 8 of 12" in warning and "\n" not in warning
    assert f"empty.jpg: {skipped['empty.jpg']}" in warning and "manifest.json" in warning


@pytest.mark.slow
def test_among_many_each_picture_keeps_its_place(packed, monkeypatch):
    """Good ones, ones prepared alone, ones known to be bad, and ones found damaged by decoding."""
    monkeypatch.setattr("dcgan_tf.data.preprocess.LARGE_PIXELS", 65 * 64)
    kinds = [*"gglgdgbggl", *"b" * 40, *"l" * 40, *"gd"]
    sizes = {"g": (64, 64), "l": (66, 66)}
    files, expected = {}, {}
    for i, kind in enumerate(kinds):
        name = f"{i:03}.png"
        if kind in sizes:
            image = picture(i).resize(sizes[kind])
            files[name], expected[name] = png(image), image
        else:
            jpeg = encode(picture(i), "JPEG", quality=92)  # small, so not prepared alone
            files[name] = jpeg[: len(jpeg) // 2] if kind == "d" else b""
    result = packed(files, max_bad=0.9)
    assert result.manifest["names"] == list(expected)
    reasons = {f"{i:03}.png": {"d": "damaged", "b": "empty"}.get(k) for i, k in enumerate(kinds)}
    assert result.manifest["skipped"] == {name: why for name, why in reasons.items() if why}
    for image, pixels in zip(expected.values(), result.pixels, strict=True):
        if image.size == (64, 64):
            np.testing.assert_array_equal(pixels, image)
        else:
            assert mean_difference(pixels, image.resize((64, 64))) < 4


@pytest.mark.parametrize("error", [Interrupted(15), UserError("gone"), OSError("disk gone")])
def test_what_goes_wrong_in_reading_comes_through_as_it_is(error, packed):
    def fail():
        raise error

    packed.before_reading = fail
    with pytest.raises(type(error)) as caught:
        packed({f"{i:02}.png": png(picture(i)) for i in range(20)})
    assert caught.value is error and packed.left() == []


@pytest.mark.parametrize(
    ("dataset", "size"),
    [
        *(("celeba", (178, 219)), ("celeba", (218, 178))),
        *(("folder", (149, 218)), ("folder", (178, 174))),
    ],
)
def test_a_picture_that_the_crop_does_not_fit_is_skipped(dataset, size, packed):
    files = {"a.jpg": face_jpeg(0), "wrong.jpg": encode(Image.new("RGB", size), "JPEG")}
    result = packed(files, dataset=dataset, crop="30,55,150,175", max_bad=0.5)
    assert result.manifest["names"] == ["a.jpg"]
    assert f"{size[0]}x{size[1]}" in result.manifest["skipped"]["wrong.jpg"]


def some_bad(good, bad):
    files = {f"{i}.png": png(picture(i)) for i in range(good)}
    return files | {f"bad{i}.png": b"no" for i in range(bad)}


def test_more_bad_files_than_allowed_stop_the_run(packed):
    assert len(packed(some_bad(9, 1)).pixels) == 9  # a tenth is the default
    with pytest.raises(UserError) as caught:
        packed(some_bad(8, 2))
    assert "2 of 10" in str(caught.value) and "--max-bad 0.1" in str(caught.value)
    assert "bad0.png" in str(caught.value)
    assert len(packed(some_bad(8, 2), max_bad=0.2).pixels) == 8
    assert len(packed.left()) == 2  # nothing of the refused one


def test_a_pack_that_is_reused_warns_and_limits_as_a_new_one_does(packed):
    files = some_bad(8, 2)
    packed(files, max_bad=0.2)
    data = packed.folder / "own"
    packed(data, max_bad=0.2)
    assert packed.read == [] and "skipped 2 of 10" in packed.said[0]
    with pytest.raises(UserError, match="--max-bad 0.1"):
        packed(data, max_bad=0.1)


def test_no_good_file_stops_the_run_whatever_is_allowed(packed):
    with pytest.raises(UserError, match="none of 2 images"):
        packed(some_bad(0, 2), max_bad=1.0)
    assert packed.left() == []


# Choice


def test_the_choice_is_numpys_frozen_permutation():
    assert chosen_order(10, 4, 0).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    assert chosen_order(10, 4, 1).tolist() == [2, 9, 6, 4, 0, 3, 1, 7, 8, 5]
    assert chosen_order(4, 0, 7).tolist() == [0, 1, 2, 3]


def test_a_broken_one_is_replaced_by_the_next_of_the_seeded_order(packed):
    """The order is 2 8 4 9 1 6 ...; 8 and its first replacement 1 are broken, so 6 comes."""
    files = {f"{i}.png": b"broken" if i in (8, 1) else png(picture(i)) for i in range(10)}
    result = packed(files, subset=4, max_bad=0.5)
    assert result.manifest["names"] == [f"{i}.png" for i in (2, 4, 9, 6)]
    assert set(result.manifest["skipped"]) == {"8.png", "1.png"}
    assert set(packed.read) == {f"{i}.png" for i in (2, 8, 4, 9, 1, 6)}  # only what it needs
    np.testing.assert_array_equal(result.pixels[3], picture(6))


def test_too_few_good_ones_for_the_subset_stop_the_run(packed):
    with pytest.raises(UserError, match="subset 9: only 8"):
        packed(some_bad(8, 2), subset=9, max_bad=0.5)
    assert packed.left() == []


# On disk


def test_the_manifest_says_what_the_pack_is(packed, tmp_path):
    result = packed(faces_zip(tmp_path, 3), dataset="celeba")
    manifest = result.manifest
    assert manifest["shape"] == [3, 64, 64, 3] and manifest["crop"] == "30,55,150,175"
    assert "antialias" in manifest["filter"] and manifest["names"] == sorted(kaggle_faces(3))
    pixels = np.load(result.path / "pixels.npy", mmap_mode="r")
    assert pixels.dtype == np.uint8 and pixels.shape == (3, 64, 64, 3)
    np.testing.assert_array_equal(pixels, result.pixels)
    assert manifest["pixels_sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert isinstance(result.pixels, np.memmap) and not result.pixels.flags.writeable


def test_a_pack_is_made_once_for_all_that_need_it(packed, tmp_path):
    archive = faces_zip(tmp_path, 3)
    first = packed(archive, dataset="celeba")
    assert len(packed.read) == 3
    again = packed(archive, dataset="celeba", seed=5, batch_size=2, width=0.5, subset_seed=9)
    assert again.path == first.path and packed.read == []
    np.testing.assert_array_equal(again.pixels, first.pixels)


@pytest.mark.parametrize(
    "fields",
    [
        {"crop": "0,0,64,64"},
        {"channels": 1},
        {"image_size": 32, "base_size": 4},
        {"subset": 3},
        {"subset": 3, "subset_seed": 1},
    ],
)
def test_other_pixels_are_another_pack(fields, packed, tmp_path):
    archive = faces_zip(tmp_path, 3)
    assert (
        packed(archive, dataset="celeba").path != packed(archive, dataset="celeba", **fields).path
    )
    assert packed.read


HARMS = {
    "pixels truncated": lambda path: (path / "pixels.npy").write_bytes(b"half"),
    "pixels gone": lambda path: (path / "pixels.npy").unlink(),
    "manifest gone": lambda path: (path / "manifest.json").unlink(),
    "manifest torn": lambda path: (path / "manifest.json").write_text('{"shape": [3, 6'),
    "manifest of another kind": lambda path: (path / "manifest.json").write_text("[]"),
    "manifest nested deep": lambda path: (path / "manifest.json").write_text("[" * 50_000),
    "manifest of other bytes": lambda path: (path / "manifest.json").write_bytes(b"\xff"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_pack_is_made_again(harm, packed, tmp_path):
    archive = faces_zip(tmp_path, 2)
    first = packed(archive, dataset="celeba")
    kept = np.array(first.pixels)
    HARMS[harm](first.path)
    again = packed(archive, dataset="celeba")
    assert again.path == first.path and len(packed.read) == 2
    np.testing.assert_array_equal(again.pixels, kept)
    assert again.manifest == json.loads((first.path / "manifest.json").read_text())


@pytest.mark.parametrize("error", [Interrupted(15), KeyboardInterrupt(), OSError("disk full")])
def test_an_interrupted_making_leaves_nothing_that_could_be_taken(
    error, packed, tmp_path, monkeypatch
):
    def fail(*args):
        raise error

    archive = faces_zip(tmp_path, 2)
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(pack_making, "write_text", fail)  # when all pixels are written
        packed(archive, dataset="celeba")
    assert packed.left() == []
    assert len(packed(archive, dataset="celeba").pixels) == 2


def test_what_a_killed_making_left_is_not_taken(packed, tmp_path):
    archive = faces_zip(tmp_path, 2)
    first = packed(archive, dataset="celeba")
    left = first.path.with_name(f".making-{first.path.name}")
    first.path.rename(left)
    assert find_pack(left.parent, first.manifest["pixels_sha256"]) is None  # whole, not yet named
    again = packed(archive, dataset="celeba")
    assert len(packed.read) == 2
    assert sorted(path.name for path in again.path.iterdir()) == ["manifest.json", "pixels.npy"]


@pytest.mark.slow
def test_two_processes_at_once_make_one_pack(packed, tmp_path):
    """The other one asks while we are decoding: it must wait, then take ours unread."""
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from dcgan_tf.train.command import parse_training\n"
        "from dcgan_tf.data.pack import open_pack\n"
        "from dcgan_tf.data.sources import Zip, open_source\n"
        "real = Zip.read\n"
        "Zip.read = lambda *args: (print('reading', flush=True), real(*args))[1]\n"
        "flags = ['--data', 'faces.zip', '--packs', 'packs', '--subset', '0']\n"
        "config = parse_training(flags).config\n"
        "print('ready', flush=True); input()\n"
        "print(open_pack(config, open_source(config)).path.name)\n"
    )
    archive = faces_zip(tmp_path, 4)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout.readline() == "ready\n"

        def let_it_ask():
            other.stdin.write("go\n")
            other.stdin.flush()
            select.select([other.stdout], [], [], 1.0)  # time to do the wrong thing: to read

        packed.before_reading = let_it_ask
        ours = packed(archive, dataset="celeba")
        assert other.communicate()[0] == ours.path.name + "\n"
    assert packed.left() == [ours.path.name]


def test_without_room_on_the_disk_nothing_is_begun(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_making.shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    with pytest.raises(UserError) as caught:
        packed(faces_zip(tmp_path, 2), dataset="celeba")
    assert f"packs {packed.packs}" in str(caught.value) and "are free" in str(caught.value)
    assert packed.left() == [] and packed.read == []
