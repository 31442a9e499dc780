"""Images in folders and zips, in every layout that people have, and every damage to it."""

import errno
import io
import json
import os
import random
import shutil
import struct
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from helpers import (
    SPECIAL,
    face_jpeg,
    faces_zip,
    kaggle_faces,
    little_memory,
    one_line,
    put_special,
    refused,
    write_files,
    write_zip,
)
from PIL import Image
from raw_files import npy, tar

from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.files import digest
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.data import places
from dcgan_tf.data.binary import Arrays
from dcgan_tf.data.forms import open_picture
from dcgan_tf.data.labels import read_classes
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.sources import open_source

SMALL = 0.001  # --max-pixels: a thousand pixels, so that files above 1 MB are too large


def png(number=0, size=(5, 4)):
    return encode(Image.new("RGB", size, (number % 256, 80, 200)), "PNG")


PNG = png(9)


def opened(data, dataset="folder", **fields):
    return open_source(Config(dataset=dataset, data=str(data), **fields))


def contents(source):
    """What a source yields for all its images, in order."""
    read = list(source.read(range(len(source.names))))
    assert [index for index, _ in read] == list(range(len(source.names)))
    return [encoded for _, encoded in read]


def read_all(place, dataset="folder", **fields):
    """({name: image size or reason}, left out) of all that a source names, or its refusal."""

    def read():
        source = opened(place, dataset, **fields)
        json.dumps([source.left_out, digest([source.fingerprint, source.names])]).encode()
        if isinstance(source, Arrays):
            source.labels()
        sizes = map(_size, contents(source))
        return dict(zip(source.names, sizes, strict=True)), source.left_out

    outcome = one_line(read)
    assert not isinstance(outcome, str) or outcome.startswith("--data")
    return outcome


def _size(encoded):
    try:
        with warnings.catch_warnings(action="ignore"):
            return open_picture(io.BytesIO(encoded)).size
    except Exception as error:
        return str(encoded) if isinstance(encoded, BadFile) else type(error).__name__


def zipped(files, last=zipfile.ZIP_STORED):
    """A zip of (name, content) pairs; `last` is the compression of the last one."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:
        for position, (name, content) in enumerate(files, 1):
            archive.writestr(name, content, last if position == len(files) else 0)
    return bytearray(buffer.getvalue())


# What is taken


def test_folder_and_zip_take_images_at_any_depth_in_one_order_and_nothing_else(tmp_path):
    images = ["b.JPG", "a/z.png", "a/b/c.webp", "c.jpeg", "B/1.png", "b/10.jpg", "b/2.jpg"]
    others = ["list.csv", "jpg", "a.jpg.part", "notes.txt"]
    files = {name: name.encode() for name in images + others}
    files |= {"9f86d081": PNG, "x/face": face_jpeg(0)}  # without a suffix, by their first bytes
    images, others = sorted([*images, "9f86d081", "x/face"]), [*others, "README", "LICENSE", "P"]
    files |= {"README": b"Please read me first, then go", "LICENSE": b"", "P": b"P"}
    folder = write_files(tmp_path / "own", files)
    (folder / "folder.jpg").mkdir()
    for data in (folder, write_zip(tmp_path / "own.zip", files, zipfile.ZIP_DEFLATED)):
        source = opened(data)
        assert source.names == images and set(source.left_out) == set(others)
        assert contents(source) == [files[name] for name in images]
        assert [index for index, _ in source.read([3, 0])] == [3, 0]


def test_kaggles_archive_is_taken_as_downloaded_also_alone_in_a_folder(tmp_path):
    faces = kaggle_faces(3)
    extra = {"odd.jpg/": b"", "list_attr_celeba.csv": b"", "__MACOSX/._000001.jpg": b"shadow"}
    path = write_zip(tmp_path / "archive.zip", extra | faces)
    (tmp_path / "readme.txt").write_text("")
    for data in (path, tmp_path):
        source = opened(data, "celeba", subset=3)
        assert source.names == sorted(faces) and contents(source) == list(faces.values())
    with refused("--subset 4", "3 images"):
        opened(path, "celeba", subset=4)
    shutil.copy(path, tmp_path / "second.zip")
    with refused("no images"):  # which one is not ours to say
        opened(tmp_path, "celeba")


def test_the_key_of_a_folder_tells_files_of_equal_sizes_and_times_apart_by_reading_few(
    tmp_path, monkeypatch
):
    """As git archive, layers of images and reproducible copies make them. CelebA's are not read."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, level in zip(folders, (0, 99), strict=True):
        pixels = np.full((64, 64, 3), 255, np.uint8)
        pixels[20:50, 20:50] = level  # a white border, where each file begins
        image = encode(Image.fromarray(pixels), "BMP")
        for path in write_files(folder, {f"{i:06d}.jpg": image for i in range(500)}).iterdir():
            os.utime(path, (0, 0))
    keys = [opened(folder).fingerprint for folder in folders]
    read, real = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *args: read.append(str(path)) or real(path, *args))
    assert opened(tmp_path / "a").fingerprint == keys[0] != keys[1]
    assert len(read) == 32 and (read[0][-10:], read[-1][-10:]) == ("000000.jpg", "000499.jpg")
    whole = opened(tmp_path / "a", "celeba").fingerprint
    stats = [(path.name, path.stat()) for path in sorted((tmp_path / "a").iterdir())]
    assert whole == digest([(name, s.st_size, s.st_mtime_ns) for name, s in stats])  # as it was
    assert len(read) == 32


def test_the_demo_draws_its_faces_and_takes_no_others(tmp_path):
    source = open_source(Config(dataset="demo"))
    assert list(source.read([5, 0])) == [(5, face_jpeg(5)), (0, face_jpeg(0))]
    assert Image.open(io.BytesIO(face_jpeg(0))).size == (178, 218)
    with refused("draws its own images"):
        opened(faces_zip(tmp_path, 1), "demo")


# What is left out


SYSTEM = (
    *(".ipynb_checkpoints/a-checkpoint.png", "cats/.ipynb_checkpoints/b-checkpoint.png"),
    *("@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "cats/@tmp/x.png", "#recycle/x.png", ".git/x.png"),
    *("__MACOSX/cats/._1.png", "._x.jpg", ".hidden.png", ".thumbnails/x.JPG", ".Trash-1000/x.png"),
    *("$Recycle.bin/S-1-5/x.png", "System Volume Information/x.png", "lost+found/x.png"),
    *(".snapshot/daily/x.png", ".AppleDouble/x.png", "found.000/x.png", "LOST.DIR/x.png"),
)
OWN = ("cats/1.png", "dogs/2.png", "@user/3.png")
USUAL = ("list_attr.csv", "Thumbs.db", "readme.txt", "index.html", ".git/x.zip")  # not worth a line
BESIDE = ("part2.zip", "x/part3.ZIP", "more.tar.gz", "x.npz", "clip.mp4")


@pytest.mark.parametrize("write", [write_files, write_zip])
def test_hidden_files_and_archives_beside_images_are_left_out_with_a_line_each(
    write, tmp_path, caplog
):
    caplog.set_level("INFO", "dcgan_tf")
    root = tmp_path / ".cache" / "kagglehub"  # the root itself may be hidden
    root.parent.mkdir()
    files = {name: png(i) for i, name in enumerate((*OWN, *SYSTEM))}
    write(root, files | dict.fromkeys((*USUAL, *BESIDE), b"x"))
    config = Config(dataset="folder", data=str(root), packs=str(tmp_path / "packs"))
    source = open_source(config)
    assert source.names == sorted(OWN)
    assert read_classes(source, source.names, 10)[0] == ["@user", "cats", "dogs"]
    open_pack(config, source)
    warning, line = [text for text in caplog.messages if text.startswith("left out")]
    assert f"left out: {len(SYSTEM)} hidden or system files (" in line
    assert warning == (
        "left out: archives, arrays or videos (2 .zip, 1 .mp4, 1 .gz, 1 .npz); "
        "unpack or convert what has images"
    )


def test_samples_of_runs_and_hidden_images_are_data_only_where_they_are_named(tmp_path):
    run = ("old/1/config.toml", "old/1/versions.json", "old/1/samples/epoch_0001.png")
    made = ("runs/compare.png", "runs/2/config.toml", "runs/2/log.txt", "runs/2/reals.png")
    own = ("a.png", "runs of mine/b.png", "cats/runs/c.png", "old/config.toml")
    generated = "dogs/runs/pretrained-faces/generated/0001/grid.png"
    write_files(tmp_path, dict.fromkeys((*own, *run, *made, generated), PNG))
    source = opened(tmp_path)
    assert source.names == ["a.png", "cats/runs/c.png", "runs of mine/b.png"]
    assert "run's directory" in source.left_out["old/1/"]
    assert all("this program" in source.left_out[name] for name in ("runs/", "dogs/runs/"))
    root = tmp_path / "old/1"
    with refused(f"--data {root}: a run's directory, not data: name a folder of images"):
        opened(root)
    assert opened(root / "samples").names == ["epoch_0001.png"]
    hidden = write_files(tmp_path / "own", {".old/1.png": PNG, ".old/2.png": PNG, "a.txt": b"x"})
    with refused("no images there", "2 hidden or system files (.old)", "itself with --data"):
        opened(hidden)
    assert opened(hidden / ".old").names == ["1.png", "2.png"]


def test_links_to_folders_and_folders_that_may_not_be_read_are_named(tmp_path, monkeypatch):
    write_files(tmp_path, {"a.png": PNG, "lost+found/x": b"", "shut/x.png": PNG})
    (tmp_path / ".snapshot").symlink_to(tmp_path)
    (tmp_path / "x.png").symlink_to(tmp_path)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith(("lost+found", "shut")):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    outcome, left_out = read_all(tmp_path)
    assert outcome == {"a.png": (5, 4)} and set(left_out) == {"shut/", "x.png/"}
    assert "Permission denied" in left_out["shut/"] and "link to a folder" in left_out["x.png/"]
    with refused("cannot be read"):
        opened(tmp_path / "shut")


# Places without images

PYTHON = {f"cifar-10-batches-py/data_batch_{i}": b"\x80\2}" for i in range(1, 6)}


WITHOUT = [
    ("cifar10", PYTHON, "5 in all|can run code|cifar-10-binary.tar.gz"),
    ("cifar10", {"x.tar.gz": tar(PYTHON)}, "can run code|cifar-10-binary.tar.gz"),
    ("folder", {"MNIST/raw/t10k-images-idx3-ubyte.gz": b""}, "--config mnist"),
    ("mnist", {"a.txt": b""}, "train-images-idx3-ubyte.gz|mnist.npz|found 1 .txt"),
    ("folder", {"a.ZIP": b"", "b.zip": b""}, "a.ZIP, b.zip: a zip|one zip"),
    ("folder", {"o.zip": zipped([("i.zip", b"")])}, "o.zip|i.zip: a zip|unpack it"),
    ("mnist", {"train.csv": b"", "a\nb.csv": b""}, "table|train.csv|image files"),
    ("mnist", {"mnist.pkl.gz": b""}, "pickle|can run code"),
    ("folder", {"a.rar": b"", "b.7z.001": b""}, "archive|a.rar, b.7z.001|unpack"),
    ("folder", {"film.mp4": b""}, "a video|ffmpeg"),
    ("folder", {f"{i}.jpg_large": b"" for i in range(9)}, "found 9 .jpg_large"),
    ("folder", {}, "it is empty"),
]
NO_ARCHIVE = [
    ("a.zip", b"\n<!DOCTYPE html><html>quota", "a web page|in a browser"),
    ("a.png", PNG, "a single image|folder"),
    ("a.zip", b"Rar!\x1a\7\0" + bytes(50), "archive|unpack"),
    ("a.tgz", tar({"a.png": PNG}), "archive|unpack"),
    ("a.zip", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ("data_batch_1", b"\x80\4", "can run code|binary.tar.gz"),
    ("t-images-idx3-ubyte", struct.pack(">4i", 2051, 1, 1, 1) + b"0", "its folder"),
    ("a.zip", b"\0\1\2 something else", "not a complete zip|download it again"),
    ("a.zip", zipped([("a.png", PNG)])[:-9], "not a complete zip|download it again"),
    ("a.zip", b"", "the file is empty"),
    ("config.toml", "größe = 64\n".encode() * 99, "a text file; give a folder or a zip"),
]


def test_a_place_without_images_names_what_is_there(tmp_path):
    for number, (dataset, files, words) in enumerate(WITHOUT):
        (folder := tmp_path / str(number)).mkdir()
        with refused(*words.split("|")):
            opened(write_files(folder, files), dataset)
    for name, content, words in NO_ARCHIVE:
        (tmp_path / name).write_bytes(content)
        with refused(f"--data {tmp_path / name}", *words.split("|")):
            opened(tmp_path / name)


PLACES = ["~nobody/x", "a\0b", "x" * 400, "/dev/zero", "loop", "pipe", "/proc/self/mem", "gone"]


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_places_that_are_none_are_refused(place, here):
    os.symlink("loop", here / "loop")
    os.mkfifo(here / "pipe")
    for dataset in ("folder", "mnist"):
        assert isinstance(read_all(place, dataset), str)


# Hostile files


def test_any_name_is_read_and_written(tmp_path):
    names = [b"\xff\xfe.png", b"\x1b[31mred.png", b"a\nb.png", b"-x.png", b"\xc3(.png", b" .png"]
    names += ["\u202egnp.png".encode(), b"~nobody.png", b"%s%n.png", b"{0}.png", b"'.png"]
    for folder in (b"", b"-x", b"\xff"):
        for name in names:
            path = os.path.join(os.fsencode(tmp_path), folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(PNG)
    outcome, _ = read_all(tmp_path)
    assert len(outcome) == 3 * len(names) and set(outcome.values()) == {(5, 4)}


def test_a_file_that_may_be_read_again_changes_the_key_of_its_folder(tmp_path, monkeypatch):
    folder = write_files(tmp_path, {f"{k}.png": PNG for k in range(50)})
    readable, access = opened(folder).fingerprint, os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "13.png")
    assert opened(folder).fingerprint != readable
    monkeypatch.setattr(os, "access", access)
    assert opened(folder).fingerprint == readable


REASONS = {"pipe": "a pipe", "device": "device", "huge": "5.4 GB"}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["x.png", "train-images-idx3-ubyte", "data_batch_1.bin"])
def test_what_is_no_regular_file_is_named_and_never_read(kind, name, tmp_path):
    put_special(write_files(tmp_path, {"ok.png": PNG}) / name, kind)
    (tmp_path / "long.png").symlink_to("x" * 300)  # a link that cannot even be asked
    for dataset in ("folder", "mnist", "cifar10"):
        result = read_all(tmp_path, dataset)
        if isinstance(result, str):
            assert name in result
        elif name.endswith("png") and kind != "folder":
            assert REASONS.get(kind, "cannot be read") in result[0][name]
            assert result[0]["ok.png"] == (5, 4) and "cannot be read" in result[0]["long.png"]


def central(raw, offset, fmt, value):
    """The zip with a field of the last entry of its list, and of its header, changed."""
    struct.pack_into(fmt, raw, raw.rindex(b"PK\1\2") + offset, value)
    struct.pack_into(fmt, raw, raw.rindex(b"PK\3\4") + offset - 2, value)
    return raw


def damaged(raw):
    start = raw.rindex(b"PK\3\4") + 40
    raw[start : start + 20] = b"\xff" * 20
    return raw


TWO = [("a.png", PNG), ("b.png", PNG)]
ZIPS = {
    "encrypted": lambda: central(zipped(TWO), 8, "<H", 1),
    "compressed by": lambda: central(zipped(TWO), 10, "<H", 99),
    "4.3 GB": lambda: central(zipped(TWO), 24, "<I", 0xFFFFFFF0),
    "67.1 MB": lambda: zipped([*TWO[:1], ("b.png", bytes(64 << 20))], zipfile.ZIP_DEFLATED),
    "compressed by lzma": lambda: zipped([*TWO[:1], ("b.png", bytes(1 << 20))], zipfile.ZIP_LZMA),
    "damaged in the zip": lambda: damaged(zipped(TWO, zipfile.ZIP_DEFLATED)),
}


@pytest.mark.parametrize("reason", ZIPS)
def test_an_entry_that_cannot_be_read_is_skipped_with_a_reason(reason, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(ZIPS[reason]())
    with little_memory():
        outcome, _ = read_all(path, max_pixels=SMALL)
    assert outcome["a.png"] == (5, 4) and reason in outcome["b.png"]


def test_a_name_that_comes_twice_is_one_image_the_last_and_backslashes_are_folders(tmp_path):
    hidden = ("cats\\.ipynb_checkpoints\\1.png", PNG)
    files = [("cats\\a.png", png(n, (n + 1, 1))) for n in range(12)] + [hidden]
    (tmp_path / "a.zip").write_bytes(zipped(files))
    outcome, left_out = read_all(tmp_path / "a.zip")
    assert outcome == {"cats\\a.png": (12, 1)} and "duplicate" in left_out["cats\\a.png (again)"]


def wrong_image(kind):
    return "folder", "a.png", lambda: encode(Image.effect_noise((9, 9), 90), kind), 99


X_TRAIN = ("x_train.npy", npy(np.zeros((3, 4, 4), np.uint8)))
WRONG = {  # data set, name, content, how many first bytes are hit
    "zip": ("folder", "a.zip", lambda: zipped([*TWO, ("c/d.jpg", b"%!PS-Adobe")], 8), None),
    "npz": ("mnist", "mnist.npz", lambda: zipped([X_TRAIN]), None),
    "idx": ("mnist", "a-images-idx3-ubyte", lambda: struct.pack(">4i", 2051, 3, 4, 4), 40),
    "tar": ("cifar10", "a.tar.gz", lambda: tar({"data_batch_1.bin": bytes(2 * 3073)}), None),
    **{k: wrong_image(k) for k in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM")},
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_bytes_never_fail_otherwise(kind, tmp_path):
    dataset, name, make, first = WRONG[kind]
    for seed in range(10):
        chance, raw = random.Random(seed), bytearray(make())
        for _ in range(chance.randint(1, 12)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
            raw[chance.randrange(min(first or len(raw), len(raw)))] = chance.randrange(256)
        if chance.random() < 0.2:
            del raw[chance.randrange(len(raw)) :]
        read_all(write_files(tmp_path / str(seed), {name: raw}), dataset, max_pixels=SMALL)


# Usual places


@pytest.fixture
def home(here, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(here / "home"))
    return here


@pytest.mark.parametrize(
    "place", ["data/celeba-dataset.zip", "data/celeba/", "home/Downloads/archive.zip"]
)
def test_celeba_is_found_where_people_put_it_unless_data_is_named(place, home, monkeypatch):
    path = home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    (home / "data/img_align_celeba").mkdir(parents=True)  # empty: it does not hide the next
    (write_files if place.endswith("/") else write_zip)(path, kaggle_faces(2))
    source = opened("", "celeba")
    assert len(source.names) == 2 and source.where.samefile(path)
    assert len(opened(faces_zip(home, 3), "celeba").names) == 3
    with refused("nowhere.zip: no such file"):
        opened("nowhere.zip", "celeba")
    place = f"{home}/input/*/img_align_celeba"  # as in Kaggle's notebooks
    assert "/kaggle/input/*/img_align_celeba" in DATASETS["celeba"].places
    monkeypatch.setitem(DATASETS, "celeba", replace(DATASETS["celeba"], places=(place,)))
    write_files(home / "input" / "celeba-dataset", kaggle_faces(1))
    assert len(opened("", "celeba").names) == 1


def test_without_data_the_ways_to_give_it_are_told(home, monkeypatch):
    with refused("--data: ", "give archive.zip", "unpacked folder", "kaggle or tfds", "demo"):
        opened("", "celeba")
    with refused("--data: ", "needs a folder or zip of your images"):
        opened("")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # no home directory
    with refused("write the path without ~"):
        opened("~/x")
    with refused("no CelebA found"):
        places.find(Config())
