"""Packs that teach nothing are told before the training, and what fails beside the images stops."""

import builtins
import errno
import io
import logging
import os

import numpy as np
import pytest
from helpers import face_jpeg, faces_zip, refused, write_files
from PIL import Image

from dcgan_tf.common.cli import run_command
from dcgan_tf.common.config import Config
from dcgan_tf.common.images import encode
from dcgan_tf.data import pack_making, preprocess
from dcgan_tf.data.pack import find_pack, open_pack
from dcgan_tf.data.sources import open_source


@pytest.fixture
def pack(here, caplog):
    """A function that packs {name: bytes}, or a path, and gives the pack and its warnings."""

    def make(data, **fields):
        data = write_files(here / "own", data) if isinstance(data, dict) else data
        config = Config(**{"dataset": "folder", "data": str(data)} | fields)
        caplog.clear()
        made = open_pack(config, open_source(config))
        return made, [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]

    return make


def noise(seed, low=0, high=256, size=(64, 64)):
    values = np.random.default_rng(seed).integers(low, high, (size[1], size[0], 3), np.uint8)
    return encode(Image.fromarray(values), "PNG")


def plain(color, size=(64, 64)):
    return encode(Image.new("RGB", size, color), "PNG")


def twelve_bits(seed):
    values = np.random.default_rng(seed).integers(0, 4096, (64, 64), np.uint16)
    return encode(Image.fromarray(values), "PNG")


def logo(seed):
    """A wide white image with a mark at its left, where the square in the middle does not reach."""
    image = Image.new("RGB", (420, 120), "white")
    image.paste((200, 30, seed * 9), (10, 10 + seed, 90, 100))
    return encode(image, "PNG")


def star(seed, mode="RGB"):
    """A large black square with a white pixel, inside of every square that is cut out of it."""
    image = Image.new(mode, (512, 512))
    image.putpixel((200 + seed, 200), {"RGB": (255,) * 3, "I;16": 65535}[mode])
    return encode(image, "PNG")


PACKS = {
    "12 bits in 16": (twelve_bits, ["16 of 16 images are blank: their", "multiply them by 16"]),
    "plain colors": (
        lambda i: plain((9, 16 * i, 200)),
        ["16 of 16 images are blank: their values span fewer than 16 of 256 levels$"],
    ),
    "stars": (star, ["16 of 16 images are blank: what they show is lost in shrinking to 64x64"]),
    "stars of 16 bits": (lambda i: star(i, "I;16"), ["blank: what they show is lost in shrinking"]),
    "more logos than stars": (
        lambda i: star(i) if i < 4 else logo(i),
        ["blank: the crop (center)"],
    ),
    "more stars than logos": (lambda i: logo(i) if i < 4 else star(i), ["lost in shrinking"]),
    "more plain than logos": (
        lambda i: logo(i) if i < 4 else plain("red"),
        ["blank: their values"],
    ),
    "wide logos": (logo, ["16 of 16 images are blank: the crop (center) cuts away what they show"]),
    "some blank, some equal": (
        lambda i: noise(i % 5) if i > 3 else plain("white"),
        ["4 of 16 images are blank", "; 7 of 16 images repeat another one pixel for pixel"],
    ),
    "two blank ones": (lambda i: noise(i) if i > 1 else plain((i, i, 9)), ["2 of 16 images are"]),
    "two equal ones": (lambda i: noise(max(i, 2)), ["2 of 16 images repeat another one"]),
}


@pytest.mark.parametrize("kind", PACKS)
def test_a_pack_that_shows_little_is_told_in_one_line_each_time(kind, pack):
    make, words = PACKS[kind]
    for data in ({f"{i:02}.png": make(i) for i in range(16)}, "own"):  # the second time reused
        _, (warning,) = pack(data)
        assert "\n" not in warning and all(word in f"{warning}$" for word in words), warning


SOUND = {
    "dark": lambda i: noise(i, 0, 30),
    "one blank of many": lambda i: noise(i) if i else plain("white"),
    "one repeated of many": lambda i: noise(max(i, 1)),
    "faces": face_jpeg,
}


@pytest.mark.parametrize("kind", SOUND)
def test_sound_packs_say_nothing(kind, pack):
    assert pack({f"{i:02}.png": SOUND[kind](i) for i in range(16)})[1] == []


def test_a_pack_of_another_user_is_passed_over(pack, monkeypatch):
    made, _ = pack({"a.png": noise(0)})
    write_files(made.path.parent / "a-closed", {"manifest.json": b"{}"})
    real = io.open

    def refuse(path, *args, **named):
        if "a-closed" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *args, **named)

    monkeypatch.setattr(io, "open", refuse)
    found = find_pack(made.path.parent, made.manifest["pixels_sha256"])
    assert found.path == made.path


# What fails beside the images

FILES = {f"{i:02}.png": noise(i) for i in range(20)}


def fail_for(monkeypatch, name, code):
    """Let the operating system refuse to open files of this name."""
    real = os.open

    def refuse(path, *args, **named):
        if str(path).endswith(name):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, *args, **named)

    monkeypatch.setattr(os, "open", refuse)


def nothing_left(here):
    return [p.name for p in (here / "data/packs").glob("*") if p.suffix != ".lock"] == []


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.ENOMEM], ids=errno.errorcode.get)
def test_a_failure_of_the_system_stops_the_packing(code, here, pack, monkeypatch):
    write_files(here / "own", FILES)
    with monkeypatch.context() as patch, refused("--data own: own/13.png", os.strerror(code)):
        fail_for(patch, "13.png", code)
        pack("own")
    assert nothing_left(here)
    assert len(pack("own")[0].pixels) == 20  # nothing is remembered of it


class Failing(io.BytesIO):
    """A file that fails as soon as it is read."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def read(self, *args):
        raise self.error


def test_a_failure_while_a_zip_is_read_stops_the_packing(here, pack, monkeypatch):
    def fail(self, info, *args):
        return Failing(OSError(errno.EIO, os.strerror(errno.EIO)))

    archive = faces_zip(here, 3)
    monkeypatch.setattr("zipfile.ZipFile.open", fail)
    with refused(f"--data {archive}: {archive}", os.strerror(errno.EIO)):
        pack(archive, dataset="celeba")
    assert nothing_left(here)


@pytest.mark.parametrize("where", ["open_picture", "encode", "crop_and_resize"])
def test_too_little_memory_stops_the_packing(where, here, pack, monkeypatch):
    def fail(*args, **named):
        raise MemoryError

    files = FILES | {"gray.tif": encode(Image.new("L", (64, 64)), "TIFF")}
    with monkeypatch.context() as patch, refused("too little memory to prepare the images"):
        patch.setattr(preprocess, where, fail)
        pack(files, max_bad=0.9)
    assert nothing_left(here)


def test_what_lies_in_the_file_itself_is_skipped_by_name(here, pack, monkeypatch):
    """Not ours to read, gone: the state of that file, which a second try would not change."""
    write_files(here / "own", FILES)
    (here / "own/zz.png").symlink_to("gone")
    fail_for(monkeypatch, "13.png", errno.EACCES)
    made, (warning,) = pack("own")
    assert made.manifest["skipped"] == {
        "13.png": "cannot be read (Permission denied)",
        "zz.png": "cannot be read (no such file)",
    }
    assert "skipped 2 of 21" in warning


@pytest.mark.parametrize("name", ["manifest.json", "pixels.npy"])
def test_a_pack_that_cannot_be_read_at_the_moment_is_kept(name, pack, monkeypatch, capsys):
    """One line, and the pack is neither called damaged nor made again."""
    made, _ = pack(FILES)
    before = {path.name: path.stat().st_mtime_ns for path in made.path.iterdir()}
    real = io.open

    def refuse(path, *args, **named):
        if str(path).endswith(name):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", refuse)
        patch.setattr(builtins, "open", refuse)
        assert run_command(lambda argv: pack("own"), []) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    assert name in error and os.strerror(errno.EIO) in error
    monkeypatch.setattr(pack_making, "write_manifest", lambda *args: pytest.fail("made again"))
    again, said = pack("own")
    assert said == [] and again.path == made.path
    after = {path.name: path.stat().st_mtime_ns for path in made.path.iterdir()}
    assert after.keys() == before.keys() and after["pixels.npy"] == before["pixels.npy"]
