"""Where pictures come from: every layout that people have on disk, and every damage to it."""

import errno
import functools
import gzip
import io
import logging
import os
import shutil
import struct
import sys
import time
import types
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import MNIST, face_jpeg, faces_zip, kaggle_faces, needs_mnist, write_files, write_zip
from PIL import Image

from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.errors import UserError, describe
from dcgan_tf.common.files import digest
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.data import places
from dcgan_tf.data.pack import open_pack, open_pictures
from dcgan_tf.data.sources import open_source


def opened(dataset, data, **fields):
    return open_source(Config(dataset=dataset, data=str(data), **fields))


def contents(source):
    """What a source yields for all its pictures, in order."""
    indices = list(range(len(source.names)))
    read = list(source.read(indices))
    assert [index for index, _ in read] == indices
    return [encoded for _, encoded in read]


def arrays(source):
    return np.stack([np.asarray(Image.open(io.BytesIO(encoded))) for encoded in contents(source)])


def refusal(dataset, data, **fields):
    with pytest.raises(UserError) as caught:
        opened(dataset, data, **fields)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_folder_takes_pictures_at_any_depth_and_nothing_else(tmp_path):
    pictures = ["b.JPG", "a/z.png", "a/b/c.webp", "c.jpeg"]
    others = ["list.csv", "a/._z.png", "._c.jpeg", "jpg", "a.jpg.part", "notes.txt"]
    write_files(tmp_path, {name: name.encode() for name in pictures + others})
    (tmp_path / "folder.jpg").mkdir()
    source = opened("folder", tmp_path)
    assert source.names == sorted(pictures)
    assert contents(source) == [name.encode() for name in sorted(pictures)]


def test_folder_fingerprint_follows_the_files(tmp_path):
    write_files(tmp_path, {"a.jpg": b"A", "b.jpg": b"B"})
    before = opened("folder", tmp_path).fingerprint
    assert opened("folder", tmp_path).fingerprint == before
    write_files(tmp_path, {"b.jpg": b"longer"})
    assert opened("folder", tmp_path).fingerprint != before


@pytest.mark.parametrize("count", [3, 500])
def test_folders_of_equal_sizes_and_times_do_not_share_a_pack(count, tmp_path):
    """As git archive, layers of images and reproducible copies make them."""

    def pack(name, level):
        pixels = np.full((64, 64, 3), 255, np.uint8)
        pixels[20:50, 20:50] = level  # a white border, where each file begins
        image = encode(Image.fromarray(pixels), "BMP")
        folder = write_files(tmp_path / name, {f"{i}.bmp": image for i in range(count)})
        for path in folder.iterdir():
            os.utime(path, (0, 0))
        config = Config(dataset="folder", data=str(folder), packs=str(tmp_path / "packs"))
        return open_pack(config, open_source(config))

    one, other = pack("a", 0), pack("b", 99)
    assert (one.pixels.min(), other.pixels.min()) == (0, 99)
    assert pack("a", 0).path == one.path


def test_the_key_of_a_folder_reads_few_files_and_none_of_celebas_jpegs(tmp_path, monkeypatch):
    write_files(tmp_path, {f"{i:06d}.jpg": b"%d" % i for i in range(500)})
    read, real = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *args: read.append(str(path)) or real(path, *args))
    whole = opened("celeba", tmp_path).fingerprint
    stats = [(path.name, path.stat()) for path in sorted(tmp_path.iterdir())]
    assert whole == digest([(name, s.st_size, s.st_mtime_ns) for name, s in stats])  # as it was
    assert read == []
    assert opened("folder", tmp_path).fingerprint != whole
    assert len(read) == 32 and (read[0][-10:], read[-1][-10:]) == ("000000.jpg", "000499.jpg")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_kaggles_archive_as_downloaded(compression, tmp_path):
    faces = kaggle_faces(3)
    extra = {
        "img_align_celeba/": b"",
        "odd.jpg/": b"",
        "list_attr_celeba.csv": b"image_id",
        "__MACOSX/img_align_celeba/._000001.jpg": b"shadow",
    }
    path = write_zip(tmp_path / "archive.zip", extra | faces, compression)
    source = opened("celeba", path)
    assert source.names == sorted(faces)
    assert contents(source) == list(faces.values())


def test_zip_and_folder_have_the_same_order(tmp_path):
    files = {name: name.encode() for name in ["b/2.jpg", "a.jpg", "b.jpg", "b/10.jpg", "B/1.png"]}
    folder = opened("folder", write_files(tmp_path / "a", files))
    archive = opened("folder", write_zip(tmp_path / "a.zip", files))
    assert folder.names == archive.names
    assert contents(folder) == contents(archive)
    assert list(archive.read([3, 0])) == list(folder.read([3, 0]))


def test_a_folder_that_holds_only_the_archive_is_the_archive(tmp_path):
    faces_zip(tmp_path, 2)
    (tmp_path / "readme.txt").write_text("")
    assert opened("celeba", tmp_path).names == sorted(kaggle_faces(2))
    shutil.copy(tmp_path / "faces.zip", tmp_path / "second.zip")
    assert "no images" in refusal("celeba", tmp_path)  # which one is not ours to say


@pytest.mark.parametrize("harm", ["text", "truncated", "empty"])
def test_a_zip_that_is_not_one_is_refused(harm, tmp_path):
    path = faces_zip(tmp_path, 2)
    whole = path.read_bytes()
    path.write_bytes({"text": b"<html>quota", "truncated": whole[:-200], "empty": b""}[harm])
    message = refusal("celeba", path)
    assert str(path) in message and "download it" in message


def wrong_bytes(raw):
    start = [i for i in range(len(raw)) if raw[i : i + 4] == b"PK\x03\x04"][1] + 30 + len("b.jpg")
    raw[start : start + 40] = b"\xff" * 40


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_of_a_damaged_member_the_others_are_whole(compression, tmp_path):
    files = {f"{name}.jpg": bytes(range(256)) * 4 for name in "abc"}
    path = write_zip(tmp_path / "a.zip", files, compression)
    raw = bytearray(path.read_bytes())
    wrong_bytes(raw)
    path.write_bytes(raw)
    first, bad, last = contents(opened("folder", path))
    assert (first, last) == (files["a.jpg"], files["c.jpg"])
    assert isinstance(bad, BadFile) and "damaged in the zip" in str(bad)


def test_missing_and_empty_data_are_refused(tmp_path):
    assert "no such file" in refusal("celeba", tmp_path / "nowhere")
    assert "no images" in refusal("celeba", tmp_path)
    assert "data: dataset folder needs a folder or zip" in refusal("folder", "")


def test_a_subset_larger_than_the_data_is_refused_with_the_count(tmp_path):
    path = faces_zip(tmp_path, 3)
    message = refusal("celeba", path, subset=4)
    assert "subset 4" in message and "3 images" in message
    assert len(opened("celeba", path, subset=3).names) == 3


def test_the_demo_draws_its_faces_and_takes_no_others(tmp_path):
    source = open_source(Config(dataset="demo"))
    assert list(source.read([5, 0])) == [(5, face_jpeg(5)), (0, face_jpeg(0))]
    assert Image.open(io.BytesIO(face_jpeg(0))).size == (178, 218)
    assert "draws its own images" in refusal("demo", faces_zip(tmp_path, 1))


# MNIST


def idx(pixels):
    return struct.pack(">4i", 2051, *pixels.shape) + pixels.tobytes()


def digits(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def flipped(raw):
    return raw[:200] + bytes(b ^ 255 for b in raw[200:300]) + raw[300:]


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("x-images-idx3-ubyte", lambda raw: b""),
        ("x-images-idx3-ubyte.gz", lambda raw: gzip.compress(raw)[:-100]),
        ("x-images-idx3-ubyte.gz", lambda raw: flipped(gzip.compress(raw))),
        ("x-images-idx3-ubyte.gz", lambda raw: raw),
        ("x-images-idx3-ubyte.gz", lambda raw: b""),
    ],
)
def test_a_damaged_idx_file_is_refused_by_name(name, harm, tmp_path):
    write_files(tmp_path, {name: harm(idx(digits(4)))})
    message = refusal("mnist", tmp_path)
    assert name in message and "download it again" in message


def test_mnist_may_be_pictures_as_well(tmp_path):
    write_files(tmp_path, {"7/a.png": b"A"})
    assert opened("mnist", tmp_path).names == ["7/a.png"]


@needs_mnist
def test_real_digits():
    source = opened("mnist", MNIST)
    assert len(source.names) == 10_000
    (_, first), (_, last) = source.read([0, 9_999])
    raw = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
    assert np.asarray(Image.open(io.BytesIO(first))).tobytes() == raw[16 : 16 + 784]
    assert np.asarray(Image.open(io.BytesIO(last))).tobytes() == raw[-784:]


# CIFAR-10


def test_cifar_batches_are_planar_colours_after_a_label(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    records = [bytes([9]) + picture.transpose(2, 0, 1).tobytes() for picture in pixels]
    files = {"data_batch_1.bin": b"".join(records[:3]), "test_batch.bin": b"".join(records[3:])}
    source = opened("cifar10", write_files(tmp_path, files | {"batches.meta.txt": b"airplane"}))
    np.testing.assert_array_equal(arrays(source), pixels)
    before = source.fingerprint
    write_files(tmp_path, {"test_batch.bin": records[3]})
    assert opened("cifar10", tmp_path).fingerprint != before


@pytest.mark.parametrize("content", [b"", b"\0" * 3072, b"\0" * 3074])
def test_a_damaged_cifar_batch_is_refused_by_name(content, tmp_path):
    write_files(tmp_path, {"data_batch_1.bin": content})
    assert "data_batch_1.bin" in refusal("cifar10", tmp_path)


# TensorFlow Datasets


@pytest.mark.parametrize(
    ("dataset", "shape"),
    [("celeba", (218, 178, 3)), ("mnist", (28, 28)), ("cifar10", (32, 32, 3))],
)
def test_tfds_yields_encoded_pictures(dataset, shape):
    with tfds.testing.mock_data(num_examples=5):
        source = opened(dataset, "tfds", subset=5)
        read = list(source.read([1, 4]))
        assert refusal(dataset, "tfds", subset=6)
    assert len(source.names) == len(set(source.names)) == 5
    assert [index for index, _ in read] == [1, 4]
    assert all(np.asarray(Image.open(io.BytesIO(encoded))).shape == shape for _, encoded in read)


def test_tfds_takes_all_splits_of_a_prepared_data_set(tmp_path, monkeypatch):
    """A real one on disk, not a mock: 20 pictures for training and 20 for testing."""
    tfds.testing.DummyMnist(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setattr(tfds, "load", functools.partial(tfds.load, data_dir=tmp_path))
    monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], tfds="dummy_mnist"))
    source = opened("mnist", "tfds")
    assert len(source.names) == len(contents(source)) == 40


@pytest.mark.parametrize("dataset", ["celeba", "cifar10"])
def test_a_failed_download_says_why_and_names_the_quota_of_celeba(dataset, monkeypatch):
    def fail(*args, **options):
        raise OSError("Failed to get url https://drive.google.com\nmore\nlines")

    monkeypatch.setattr(tfds, "load", fail)
    message = refusal(dataset, "tfds")
    assert "Failed to get url" in message and "more" not in message
    assert ("Google Drive" in message and "quota" in message) == (dataset == "celeba")


def test_tfds_without_a_network_is_one_line_soon(tmp_path, monkeypatch):
    """The retries of a real download: nothing listens at the port."""
    monkeypatch.setattr(tfds, "load", functools.partial(tfds.load, data_dir=tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    handler = logging.StreamHandler(stderr)
    logging.getLogger("urllib3").addHandler(handler)
    start = time.monotonic()
    message = refusal("cifar10", "tfds")
    logging.getLogger("urllib3").removeHandler(handler)
    assert time.monotonic() - start < 20
    assert "www.cs.toronto.edu" in message and not stderr.getvalue()


def test_a_tfds_of_which_only_a_part_was_imported_gives_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", types.ModuleType("tensorflow_datasets"))
    assert "could not be loaded" in refusal("mnist", "tfds")


def test_a_missing_package_is_not_taken_for_a_failed_download(monkeypatch):
    def fail(*args, **options):
        raise ModuleNotFoundError("No module named 'x'", name="x")

    monkeypatch.setattr(tfds, "load", fail)
    with pytest.raises(ModuleNotFoundError):
        opened("celeba", "tfds")


@pytest.mark.parametrize("service", ["tfds", "kaggle"])
def test_tfds_and_kaggle_have_no_pictures_of_ones_own(service):
    message = refusal("folder", service)
    assert f"data {service}" in message and "celeba" in message and "folder" in message


# Kaggle


def stand_in(monkeypatch, download):
    """kagglehub with this for its `dataset_download`."""
    module = types.ModuleType("kagglehub")
    module.dataset_download = download
    monkeypatch.setitem(sys.modules, "kagglehub", module)


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """Handles that were asked for, of a kagglehub whose every data set is three drawn faces."""
    folder = write_files(tmp_path / "versions/2", kaggle_faces(3) | {"list_attr_celeba.csv": b""})
    handles = []
    stand_in(monkeypatch, lambda handle: handles.append(handle) or str(folder))
    return handles


def test_kaggle_is_its_archive_unpacked_after_its_terms(fetched, tmp_path, caplog):
    with caplog.at_level("INFO", "dcgan_tf"):
        source = opened("celeba", "kaggle")
    assert "non-commercial research only" in caplog.text
    assert fetched == ["jessicali9530/celeba-dataset"]
    assert source.where == "kaggle:jessicali9530/celeba-dataset"
    archive = opened("celeba", faces_zip(tmp_path, 3))
    assert source.names == archive.names  # so that a seed means the same pictures
    assert contents(source) == contents(archive)
    assert list(source.left_out) == ["list_attr_celeba.csv"]
    assert source.fingerprint == opened("celeba", "kaggle").fingerprint


@pytest.mark.parametrize("missing", ["kagglehub", "kagglesdk"])
def test_without_kagglehub_one_line_says_what_to_install(missing, tmp_path, monkeypatch):
    if missing == "kagglehub":
        monkeypatch.setitem(sys.modules, "kagglehub", None)
    else:
        (tmp_path / "kagglehub.py").write_text(f"import {missing}")
        monkeypatch.delitem(sys.modules, "kagglehub", raising=False)
        monkeypatch.setitem(sys.modules, missing, None)
        monkeypatch.syspath_prepend(tmp_path)
    message = refusal("celeba", "kaggle")
    assert missing in message and "pip install --upgrade kagglehub" in message


@pytest.mark.parametrize(
    "error",
    [
        OSError("403 Client Error.\n\nYou don't have permission to access resource"),
        ValueError(),
    ],
)
def test_a_failed_fetch_says_why_and_how_to_log_in(error, monkeypatch):
    def fail(handle):
        raise error

    stand_in(monkeypatch, fail)
    message = refusal("celeba", "kaggle")
    assert len(message) < 1000
    assert (str(error).split() or ["ValueError"])[0][:100] in message
    assert all(text in message for text in ("accept the terms", "KAGGLE_API_TOKEN", "--data arch"))


def test_a_full_disk_is_not_kaggles_fault(monkeypatch):
    def fail(handle):
        raise OSError(errno.ENOSPC, "No space left on device", "/home/x/.cache")

    stand_in(monkeypatch, fail)
    with pytest.raises(OSError) as caught:
        opened("celeba", "kaggle")
    assert "free some disk space" in describe(caught.value)


def test_a_complete_pack_needs_no_kaggle(fetched, tmp_path):
    config = Config(data="kaggle", packs=str(tmp_path / "packs"), subset=2)
    pack = open_pack(config, open_pictures(config))
    fetched.clear()
    again = open_pictures(config, pack.manifest["pixels_sha256"])
    assert not fetched and again.path == pack.path


# Usual places


@pytest.fixture
def home(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("USERPROFILE", str(here / "home"))
    return here


@pytest.mark.parametrize(
    "place",
    [
        *("data/celeba-dataset.zip", "data/celeba/", "home/Downloads/archive.zip"),
    ],
)
def test_celeba_is_found_where_people_put_it(place, home):
    path = home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if place.endswith("/"):
        write_files(path, kaggle_faces(2))
    else:
        write_zip(path, kaggle_faces(2))
    source = opened("celeba", "")
    assert len(source.names) == 2 and source.where.samefile(path)


def test_places_of_kaggle_are_absolute_with_any_folder_between(home, monkeypatch):
    assert any(place.startswith("/kaggle/input/") for place in DATASETS["celeba"].places)
    place = f"{home}/input/*/img_align_celeba"
    monkeypatch.setitem(DATASETS, "celeba", replace(DATASETS["celeba"], places=(place,)))
    write_files(home / "input" / "celeba-dataset", kaggle_faces(2))
    assert len(opened("celeba", "").names) == 2


def test_an_empty_usual_place_does_not_hide_the_next(home):
    (home / "data/img_align_celeba").mkdir(parents=True)
    archive = faces_zip(home, 1).rename(home / "archive.zip")
    assert places.find(Config()).resolve() == archive.resolve()


def test_named_data_wins_and_is_never_replaced_by_a_usual_place(home):
    (home / "data").mkdir()
    faces_zip(home / "data", 1).rename(home / "data" / "img_align_celeba.zip")
    assert len(opened("celeba", faces_zip(home, 3)).names) == 3
    assert "nowhere.zip" in refusal("celeba", "nowhere.zip")


def test_without_data_the_ways_to_give_it_are_told(home):
    message = refusal("celeba", "")
    for way in ("data: ", "give archive.zip", "unpacked folder", "kaggle or tfds", "--config demo"):
        assert way in message
    message = refusal("mnist", "")
    assert "data: " in message and "give a folder" in message and "or tfds" in message
