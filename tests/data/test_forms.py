"""Data as people have them: system folders beside the images, other forms, what is no archive."""

import functools
import gzip
import hashlib
import io
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest
from helpers import face_jpeg, little_memory, refused, resolved, write_files, write_zip
from PIL import Image

from dcgan_tf.common.images import encode
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.probe.probing import read_labels

SYSTEM = (
    *(".ipynb_checkpoints/a-checkpoint.png", "cats/.ipynb_checkpoints/b-checkpoint.png"),
    *("@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "cats/@tmp/x.png", "#recycle/x.png", ".git/x.png"),
    *("__MACOSX/cats/._1.png", "._x.jpg", ".hidden.png", ".thumbnails/x.JPG", ".Trash-1000/x.png"),
    *("$Recycle.bin/S-1-5/x.png", "System Volume Information/x.png", "lost+found/x.png"),
    *(".snapshot/daily/x.png", ".AppleDouble/x.png", "found.000/x.png", "LOST.DIR/x.png"),
)
OWN = ("cats/1.png", "dogs/2.png", "@user/3.png")


def opened(data, dataset="folder"):
    return open_source(resolved("--dataset", dataset, "--data", data))


def png(number=0):
    return encode(Image.new("RGB", (8, 8), (number % 256, 0, 0)), "PNG")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_hidden_and_system_files_are_left_out_with_a_line_that_counts_them(kind, tmp_path, caplog):
    files = {name: png(i) for i, name in enumerate((*OWN, *SYSTEM))} | {".git/config": b"x"}
    root = tmp_path / ".cache" / "kagglehub"  # the root itself may be hidden
    root.parent.mkdir()
    (write_files if kind == "folder" else write_zip)(root, files)
    config = resolved("--dataset", "folder", "--data", root, "--packs", tmp_path / "packs")
    source = open_source(config)
    assert source.names == sorted(OWN)
    with caplog.at_level("INFO", "dcgan_tf"):
        open_pack(config, source)
    (line,) = [text for text in caplog.messages if text.startswith("left out")]
    assert f"left out: {len(SYSTEM)} hidden or system files (" in line
    assert read_labels(source, source.names)[0] == ["@user", "cats", "dogs"]


BESIDE = ("part2.zip", "x/part3.ZIP", "more.tar.gz", "x.npz", "clip.mp4")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_archives_beside_images_are_told_in_one_warning(kind, tmp_path, caplog):
    usual = ("list_attr.csv", "Thumbs.db", "readme.txt", "index.html", ".git/x.zip")
    files = {name: png(i) for i, name in enumerate(OWN)}
    write = write_files if kind == "folder" else write_zip
    for name, others in (("all", BESIDE + usual), ("images", usual)):
        write(tmp_path / name, files | dict.fromkeys(others, b"x"))
        config = resolved(
            "--dataset", "folder", "--data", tmp_path / name, "--packs", tmp_path / "p"
        )
        open_pack(config, open_source(config))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text for text in warnings if text.startswith("left out")] == [
        "left out: archives, arrays or videos (2 .zip, 1 .mp4, 1 .gz, 1 .npz); "
        "unpack or convert what has images"
    ]


def test_backslashes_in_a_zip_are_folders_too(tmp_path):
    names = ["cats\\1.png", "dogs\\2.png", "cats\\.ipynb_checkpoints\\1-checkpoint.png"]
    source = opened(write_zip(tmp_path / "a.zip", {name: png() for name in names}))
    assert source.names == names[:2] and read_labels(source, names[:2])[0] == ["cats", "dogs"]


def test_samples_of_runs_are_no_data(tmp_path):
    run = ("runs/1/config.toml", "runs/1/log.txt", "runs/1/samples/epoch_0001.png")
    write_files(tmp_path, dict.fromkeys(("a.png", "runs/config.toml", *run), png()))
    source = opened(tmp_path)
    assert source.names == ["a.png"] and "run" in source.left_out["runs/1/"]
    root = tmp_path / "runs/1"
    with refused(f"--data {root}: a run's directory, no data: name a folder of images"):
        opened(root)
    assert opened(root / "samples").names == ["epoch_0001.png"]


def test_where_all_images_are_hidden_the_message_says_so(tmp_path):
    write_files(tmp_path, {".old/1.png": png(), ".old/2.png": png(), "a.txt": b"x"})
    with refused("no images there", "2 hidden or system files (.old)", "itself with --data"):
        opened(tmp_path)
    assert opened(tmp_path / ".old").names == ["1.png", "2.png"]


def test_a_line_break_in_a_name_makes_no_line_of_its_own(tmp_path, caplog):
    files = {f"{i}.png": png(i) for i in range(20)} | {"a\nerror: b.png": b"x", "c\nd.psd": b"x"}
    config = resolved("--dataset", "folder", "--data", write_files(tmp_path / "d", files))
    open_pack(replace(config, packs=str(tmp_path / "packs")), open_source(config))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 3 and not any("\n" in text for text in warnings)


def test_a_system_folder_that_nobody_may_read_is_no_news(tmp_path, monkeypatch):
    write_files(tmp_path, {"a.png": png(), "lost+found/x": b"", "shut/x": b""})
    (tmp_path / ".snapshot").symlink_to(tmp_path)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith(("lost+found", "shut")):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert list(opened(tmp_path).left_out) == ["shut/"]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_files_without_a_suffix_are_known_by_their_first_bytes(kind, tmp_path):
    files = {"9f86d081": png(1), "x/face": face_jpeg(0), "README": b"Please read me first, then go"}
    make = write_files if kind == "folder" else write_zip
    source = opened(make(tmp_path / "data", files | {"LICENSE": b"", "short": b"P"}))
    assert source.names == ["9f86d081", "x/face"]
    assert [encoded for _, encoded in source.read([0, 1])] == [png(1), face_jpeg(0)]


# What is there instead of images


def tar(files, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PYTHON = {f"cifar-10-batches-py/data_batch_{i}": b"\x80\2}" for i in range(1, 6)}


@pytest.mark.parametrize(
    ("dataset", "files", "words"),
    [
        ("cifar10", PYTHON, ["5 in all", "can run code", "cifar-10-binary.tar.gz"]),
        ("cifar10", {"x.tar.gz": tar(PYTHON)}, ["can run code", "cifar-10-binary.tar.gz"]),
        ("folder", {"MNIST/raw/t10k-images-idx3-ubyte.gz": b""}, ["--config mnist"]),
        ("folder", {"data_batch_1.bin": b"", "a.html": b""}, ["mnist or cifar10"]),
        ("mnist", {"a.txt": b""}, ["train-images-idx3-ubyte.gz", "mnist.npz", "found 1 .txt"]),
        ("folder", {"mnist.npz": zipped({"x_train.npy": b""})}, ["--config mnist"]),
        ("folder", {"a.ZIP": zipped({}), "b.zip": zipped({})}, ["a.ZIP, b.zip: a zip", "one zip"]),
        ("folder", {"a/b/deep.zip": zipped({})}, ["a/b/deep.zip", "give one zip"]),
        ("folder", {"o.zip": zipped({"i.zip": b""})}, ["o.zip", "i.zip: a zip", "unpack it"]),
        ("mnist", {"train.csv": b"", "test.csv": b""}, ["table", "train.csv", "image files"]),
        ("mnist", {"mnist/train-00000.parquet": b""}, ["table", ".parquet"]),
        ("mnist", {"mnist.pkl.gz": b""}, ["pickle", "can run code"]),
        ("folder", {"a.rar": b"", "b.7z.001": b""}, ["archive", "a.rar, b.7z.001", "unpack"]),
        ("folder", {"x.tar": tar({"a.png": png()}, "w")}, ["x.tar", "archive", "unpack"]),
        ("folder", {"film.mp4": b""}, ["a video", "ffmpeg"]),
        ("folder", {f"{i}.jpg_large": b"" for i in range(9)}, ["found 9 .jpg_large"]),
        ("folder", {"a\nb.csv": b""}, ["table"]),
        ("folder", {}, ["it is empty"]),
    ],
)
def test_a_place_without_images_names_what_is_there(dataset, files, words, tmp_path):
    (tmp_path / "data").mkdir()
    write_files(tmp_path / "data", files)
    with refused(*words):
        opened(tmp_path / "data", dataset)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", b"\n<!DOCTYPE html><html>quota", ["a web page", "in a browser"]),
        ("a.tar.gz", b"<html>", ["a web page"]),
        ("a.png", png(), ["a single image", "folder"]),
        ("face", face_jpeg(0), ["a single image"]),
        ("a.zip", b"7z\xbc\xaf\x27\x1c" + bytes(50), ["archive", "unpack"]),
        ("a.zip", b"Rar!\x1a\7\0" + bytes(50), ["archive", "unpack"]),
        ("a.tgz", tar({"a.png": png()}), ["archive", "unpack"]),
        ("a.zip", b"version https://git-lfs.github.com/spec/v1\n", ["git lfs pull"]),
        ("a.csv", b"label,1x1", ["table"]),
        ("data_batch_1", b"\x80\4", ["can run code", "binary.tar.gz"]),
        ("t-images-idx3-ubyte", struct.pack(">4i", 2051, 1, 1, 1) + b"0", ["its folder"]),
        ("a.zip", b"\0\1\2 something else", ["not a whole zip"]),
        ("config.toml", "größe = 64\n".encode() * 99, ["a text file; give a folder or a zip"]),
        ("a.zip", b"quota exceeded", ["a text file; give a folder or a zip"]),
    ],
)
def test_a_file_that_is_no_archive_of_images_is_named(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with refused(f"--data {tmp_path / name}", *words):
        opened(tmp_path / name)


# MNIST and CIFAR-10 as they are spread


def idx(array):
    magic = 2048 + array.ndim
    return struct.pack(f">{1 + array.ndim}i", magic, *array.shape) + array.tobytes()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@functools.cache
def digits():
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (5, 4, 4), np.uint8)
    return pixels, np.array([3, 4, 5, 7, 8], np.uint8)


def idx_files(folder="", packed=True):
    (pixels, labels), parts = digits(), {"t10k": slice(2), "train": slice(2, 5)}
    suffix, write = (".gz", gzip.compress) if packed else ("", bytes)
    return {
        f"{folder}{part}-{kind}-idx{array.ndim}-ubyte{suffix}": write(idx(array[rows]))
        for part, rows in parts.items()
        for kind, array in (("images", pixels), ("labels", labels))
    }


def dotted(files):
    return {name.replace("-idx", ".idx"): content for name, content in files.items()}


def boxed(files):
    return {f"{name}/{name}": content for name, content in files.items()}


def npz(kinds=("train", "test"), column=False):
    (pixels, labels), rows = digits(), {"test": slice(2), "train": slice(2, 5)}
    labels = labels[:, None] if column else labels
    files = {f"x_{kind}.npy": npy(pixels[rows[kind]]) for kind in kinds}
    return files | {f"y_{kind}.npy": npy(labels[rows[kind]]) for kind in kinds}


MNISTS = {
    "torchvision": idx_files("MNIST/raw/") | idx_files("MNIST/raw/", packed=False),
    "kaggle": dotted(idx_files(packed=False)) | boxed(idx_files(packed=False)),
    "boxed alone": boxed(idx_files(packed=False)),
    "zip": {"archive.zip": zipped(idx_files() | {"__MACOSX/._t10k-images-idx3-ubyte.gz": b""})},
    "tar": {"mnist.tar.gz": tar(idx_files("mnist/"))},
    "keras": {"mnist.npz": zipped(npz())},
    "keras, labels in a column": {"mnist.npz": zipped(npz(column=True))},
    "npy": {"arrays/" + name: content for name, content in npz().items()},
}


@pytest.mark.parametrize("kind", MNISTS)
def test_mnist_in_any_form_is_the_same_with_its_labels(kind, tmp_path):
    source = opened(write_files(tmp_path, MNISTS[kind]), "mnist")
    pixels, labels = digits()
    assert source.fingerprint == hashlib.sha256(pixels).hexdigest()
    classes, found = read_labels(source, source.names)
    assert [int(classes[number]) for number in found] == labels.tolist()
    if len(MNISTS[kind]) == 1:  # the archive itself
        assert opened(tmp_path / next(iter(MNISTS[kind])), "mnist").fingerprint


def test_two_data_sets_in_one_place_are_never_mixed(tmp_path):
    write_files(tmp_path, idx_files("MNIST/raw/") | idx_files("FashionMNIST/raw/"))
    with refused("2 folders", "FashionMNIST/raw, MNIST/raw", "give one of them"):
        opened(tmp_path, "mnist")
    assert len(opened(tmp_path / "MNIST", "mnist").names) == 5


def batches(count=2):
    record = bytes([6]) + bytes(range(32)) * 96
    return {"cifar-10-batches-bin/data_batch_1.bin": record * count, "b/readme.html": b"<html>"}


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_cifar_as_its_authors_spread_it(mode, tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(tar(batches(), mode))
    source = opened(path, "cifar10")
    folder = opened(write_files(tmp_path / "unpacked", batches()), "cifar10")
    assert source.fingerprint == folder.fingerprint and len(source.names) == 2
    assert source.labels().tolist() == [6, 6]
    assert opened(write_zip(tmp_path / "x.zip", batches()), "cifar10").names == source.names
    shutil.rmtree(tmp_path / "unpacked")
    (tmp_path / "x.zip").unlink()
    assert opened(tmp_path, "cifar10").fingerprint == source.fingerprint


def test_a_batch_of_its_true_size_is_read_from_a_tar(tmp_path):
    (tmp_path / "c.tgz").write_bytes(tar(batches(10_000)))
    source = opened(tmp_path / "c.tgz", "cifar10")
    assert len(source.names) == 10_000 and set(source.labels()) == {6}


def test_a_tar_whose_header_claims_a_gigabyte_is_refused_unread(tmp_path):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    pack = zlib.compressobj(9, wbits=31)
    with (tmp_path / "c.tgz").open("wb") as file:
        file.write(pack.compress(info.tobuf()))
        for _ in range(64):
            file.write(pack.compress(bytes(1 << 20)))
        file.write(pack.flush())
    with little_memory(), refused("not a whole tar"):
        opened(tmp_path / "c.tgz", "cifar10")


@pytest.mark.parametrize("content", [tar(batches())[:-40], tar(batches(), "w")[:4000], b"\x1f\x8b"])
def test_a_tar_that_is_cut_is_refused(content, tmp_path):
    (tmp_path / "c.tar.gz").write_bytes(content)
    with refused("c.tar.gz", "download it again"):
        opened(tmp_path / "c.tar.gz", "cifar10")


def test_arrays_with_code_or_of_another_kind_are_refused(tmp_path):
    for name, array in {"code": np.array([print]), "float": np.zeros((2, 4, 4))}.items():
        path = write_zip(tmp_path / f"{name}.npz", {"x_train.npy": npy(array)})
        with refused(str(path / "x_train.npy"), "not a whole uint8 NumPy image file"):
            opened(path, "mnist")
    path = write_zip(tmp_path / "a.npz", {"x_train.npy": npy(digits()[0])})
    with refused("no labels beside the images"):
        read_labels(opened(path, "mnist"), ["000000"])
