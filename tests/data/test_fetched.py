"""Data sets that other packages download: TensorFlow Datasets and kagglehub, and their failures."""

import errno
import functools
import hashlib
import io
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from downloads import Server
from helpers import kaggle_faces, refused, write_files
from PIL import Image
from raw_files import cifar_batches, npz, tar, zipped

from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.data.pack import open_images, open_pack
from dcgan_tf.data.places import is_fetched
from dcgan_tf.data.sources import open_source


def opened(dataset, data, **fields):
    return open_source(Config(dataset=dataset, data=data, **fields))


def failing(error):
    def fail(*args, **options):
        raise error

    return fail


# TensorFlow Datasets


@pytest.mark.parametrize(
    ("dataset", "shape"),
    [("celeba", (218, 178, 3)), ("mnist", (28, 28)), ("cifar10", (32, 32, 3))],
)
def test_tfds_yields_encoded_images(dataset, shape):
    with tfds.testing.mock_data(num_examples=5):
        source = opened(dataset, "tfds", subset=5)
        read = list(source.read([1, 4]))
        with refused("--subset 6"):
            opened(dataset, "tfds", subset=6)
    assert len(source.names) == len(set(source.names)) == 5
    assert [index for index, _ in read] == [1, 4]
    assert all(np.asarray(Image.open(io.BytesIO(encoded))).shape == shape for _, encoded in read)


def test_tfds_takes_all_splits_of_a_prepared_data_set(tmp_path, monkeypatch):
    """A real one on disk, not a mock: 20 images for training and 20 for testing."""
    tfds.testing.DummyMnist(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setattr(tfds, "load", functools.partial(tfds.load, data_dir=tmp_path))
    monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], tfds="dummy_mnist"))
    source = opened("mnist", "tfds")
    assert len(source.names) == len(list(source.read(range(40)))) == 40


@pytest.mark.parametrize("dataset", ["celeba", "cifar10"])
def test_a_failed_download_says_why_and_names_the_quota_of_celeba(dataset, monkeypatch, capsys):
    error = OSError("Failed to get url https://drive.google.com\nmore\nlines")
    monkeypatch.setattr(tfds, "load", failing(error))
    with refused("--data tfds", "Failed to get url", *["Google Drive"] * (dataset == "celeba")):
        opened(dataset, "tfds")
    monkeypatch.setattr(tfds, "load", failing(ModuleNotFoundError("No module named 'x'", name="x")))
    with pytest.raises(ModuleNotFoundError):  # a missing package is no failed download
        opened(dataset, "tfds")


def test_tfds_without_a_network_is_one_line(tmp_path, monkeypatch, capfd):
    """The retries of a real download: nothing listens at the port, or nobody answers."""
    timeouts, get = [], requests.Session.get

    def timed(*args, timeout=None, **kwargs):
        timeouts.append(timeout)
        return get(*args, timeout=timeout, **kwargs)

    monkeypatch.setattr(requests.Session, "get", timed)
    monkeypatch.setattr(tfds, "load", functools.partial(tfds.load, data_dir=tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with refused("www.cs.toronto.edu"):
        opened("cifar10", "tfds")
    assert capfd.readouterr().err == "" and timeouts and all(timeouts)


# Kaggle


def stand_in(monkeypatch, download):
    """kagglehub with this for its `dataset_download`."""
    module = types.ModuleType("kagglehub")
    module.dataset_download = download
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_kaggle_is_fetched_after_its_terms_and_a_complete_pack_needs_it_no_more(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO", "dcgan_tf")
    faces, handles = kaggle_faces(3), []
    folder = write_files(tmp_path / "versions/2", faces | {"list_attr_celeba.csv": b""})
    stand_in(monkeypatch, lambda handle: handles.append(handle) or str(folder))
    config = Config(data="kaggle", packs=str(tmp_path / "packs"), subset=2)
    source = open_source(config)
    assert "non-commercial research only" in caplog.text
    assert handles == ["jessicali9530/celeba-dataset"]
    assert source.where == "kaggle:jessicali9530/celeba-dataset"
    assert source.names == sorted(faces)  # as of the archive: a seed means the same images
    assert [encoded for _, encoded in source.read(range(3))] == list(faces.values())
    assert list(source.left_out) == ["list_attr_celeba.csv"]
    pack = open_pack(config, source)
    handles.clear()
    again = open_images(config, pack.manifest["pixels_sha256"], pack_first=True)
    assert not handles and again.path == pack.path


def test_a_failed_fetch_says_why_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with refused("kagglehub", "pip install --upgrade kagglehub"):
        opened("celeba", "kaggle")
    (tmp_path / "kagglehub.py").write_text("import kagglesdk")
    monkeypatch.delitem(sys.modules, "kagglehub")
    monkeypatch.setitem(sys.modules, "kagglesdk", None)
    monkeypatch.syspath_prepend(tmp_path)
    with refused("kagglesdk", "pip install --upgrade kagglehub"):
        opened("celeba", "kaggle")
    stand_in(monkeypatch, failing(OSError("403 Client Error.\n\nYou don't have permission")))
    with refused("403 Client Error", "accept the terms", "KAGGLE_API_TOKEN", "--data archive.zip"):
        opened("celeba", "kaggle")
    full = OSError(errno.ENOSPC, "No space left on device", "/home/x/.cache")  # not its fault
    stand_in(monkeypatch, failing(full))
    with pytest.raises(OSError) as caught:
        opened("celeba", "kaggle")
    assert caught.value is full
    for service in ("tfds", "kaggle"):
        with refused(f"--data {service}", "celeba", "folder"):  # no images of one's own
            opened("folder", service)


# Archives of MNIST and CIFAR-10


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_mnist_and_cifar10_are_downloaded_once_where_none_is_found(
    dataset, here, monkeypatch, caplog
):
    caplog.set_level("INFO")
    monkeypatch.setenv("HOME", str(here / "home"))
    body = tar(cifar_batches()) if dataset == "cifar10" else zipped(npz())
    path, entry = here / "home/.keras/datasets/file.bin", DATASETS[dataset]
    assert entry.places[-1] == f"~/.keras/datasets/{entry.url.rsplit('/', 1)[1]}"
    places = (*entry.places[:-1], "~/.keras/datasets/file.bin")
    sha256 = hashlib.sha256(body).hexdigest()
    with Server(body) as server:
        given = {"url": server.url, "places": places, "bytes": len(body)}
        monkeypatch.setitem(DATASETS, dataset, replace(entry, **given, sha256="0" * 64))
        with refused("SHA-256", "give a folder with its files with --data"):
            opened(dataset, "")
        assert not path.exists()
        monkeypatch.setitem(DATASETS, dataset, replace(entry, **given, sha256=sha256))
        assert is_fetched(Config(dataset=dataset))
        caplog.clear()
        source = opened(dataset, "")
        assert len(source.names) == {"mnist": 5, "cifar10": 2}[dataset]
        (line,) = caplog.messages
        assert f"MB from {server.url} to {path}" in line
        assert not is_fetched(Config(dataset=dataset))
        assert opened(dataset, "").fingerprint == source.fingerprint and server.requests == 2
        own = entry.url.rsplit("/", 1)[1]
        monkeypatch.setitem(
            DATASETS, dataset, replace(DATASETS[dataset], url=f"{server.url}/{own}",
            places=(*entry.places[:-1], f"~/.keras/datasets/{own}"))
        )  # fmt: skip
        (path.parent / own).write_bytes(body[:-9])  # of a download that was killed
        assert opened(dataset, "").fingerprint == source.fingerprint and server.requests == 3
